"""What a person does in the browser: at Talkdesk, in the app, with their mails; by what the pages call it."""
