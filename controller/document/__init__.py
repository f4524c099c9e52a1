"""The site document, from bytes to devices with all filled in; `controller.site` is its door."""
