"""Pages, one module each: they call the services and render templates."""
