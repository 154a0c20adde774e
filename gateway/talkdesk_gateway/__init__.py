"""The gateway: signs Talkdesk's users in to their tenant, and decides on every request they make."""
