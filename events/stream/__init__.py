"""The process that keeps streams open: Server-Sent Events and WebSockets of many customers, plain async code.

`endpoints` speaks with clients, `hub` knows them, `relay` hears of what happens, `journal` reads the outbox.
docs/events.md tells how an event gets from its transaction to a browser.
"""
