"""Files of tables as they arrive: CSV of any dialect, Parquet, sheets, archives and folders of parts."""
