"""The Talkdesk bar."""
