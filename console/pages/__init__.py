"""One module a page: what it asks the services for, and what it gives its template."""
