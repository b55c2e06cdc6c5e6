"""Reports on a mask: pictures of a case, its lesions and its clicks."""
