"""DICOM in: series, SUV and segmentation objects, with errors that name the slice."""
