"""One port: the dashboard, the REST API, the websocket, ingest, metrics and health."""
