"""The port of panel and sync API: browsers and programs of strangers on one side, a WSGI application on the other.

One event loop has all connections and does everything that a client can make slow. A thread gets a request when all of
it is here, and is free again when it has made what the client can take. The application knows nothing of this.
"""
