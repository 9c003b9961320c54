"""The credits' endpoints, as DESIGN section 7 lists them."""
