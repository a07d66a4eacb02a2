"""Features that depend on earlier orders: declared once, read online from a store and offline from a table. Pure."""
