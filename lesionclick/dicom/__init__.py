"""DICOM in: the series of a study, CT and PET as volumes, SUV and segmentation objects. Needs the extra `dicom`."""
