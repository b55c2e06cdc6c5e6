"""DICOM SR out: a measurement report (TID 1500) with volume and uptake of each lesion and of all together."""

import math
from collections.abc import Sequence
from typing import Protocol

import highdicom
from highdicom.sr.coding import CodedConcept
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

import lesionclick
from lesionclick.dicom.result import CATEGORY, LESION, SOFTWARE, LesionResult, set_moment
from lesionclick.dicom.source import naming_source, one_a_file

PROCEDURE = codes.LN.PETWholeBody

SUV, SUV_UNIT = codes.DCM.Suvbw, codes.UCUM.StandardizedUptakeValueBodyWeight
GRAM = CodedConcept("g", "UCUM", "gram")

DECIMALS = 6
"""Digits after the point of a value; a DS has 16 characters."""


class Measured(Protocol):
    """What was measured of a lesion; None or NaN for what could not be."""

    @property
    def number(self) -> int:
        """As in `LesionResult.lesions_zyx`."""

    @property
    def volume_ml(self) -> float:
        """Number of voxels times their volume, ml."""

    @property
    def suv_max(self) -> float | None:
        """Body-weight SUV, g/ml."""

    @property
    def suv_mean(self) -> float | None:
        """Body-weight SUV, g/ml."""

    @property
    def suv_peak(self) -> float | None:
        """Body-weight SUV, g/ml, mean of a sphere of 1 ml."""

    @property
    def tlg(self) -> float | None:
        """Total lesion glycolysis: SUVmean times volume, g."""


def make_report(
    result: LesionResult, measurements: Sequence[Measured], segmentation: highdicom.seg.Segmentation
) -> highdicom.sr.Comprehensive3DSR:
    """The measurements as a DICOM SR, to be written with `result.write_object`.

    Volumes are in cubic centimeters (ml), SUV in g/ml by body weight, TLG in g. The last group is on all lesions
    together: their number, volume and TLG.

    Args:
        result: lesions and PET.
        measurements: one a lesion, in order of their numbers.
        segmentation: of the same result, a segment a lesion, to whose segments the measurements refer.

    Raises:
        CaseError: the PET's header lacks what the object has to say.
    """
    numbers = list(range(1, result.count + 1))
    if [item.number for item in measurements] != numbers:
        raise ValueError(f"measurements of lesions {[item.number for item in measurements]}, expected {numbers}")
    if len(segmentation.SegmentSequence) != max(result.count, 1):
        raise ValueError("the segmentation has not one segment a lesion")
    with naming_source(result.sources[0]):
        groups = [_group(result, item, segmentation) for item in measurements]
        content = highdicom.sr.MeasurementReport(
            observation_context=_observer(result),
            procedure_reported=PROCEDURE,
            imaging_measurements=[*groups, _group_of_all(result, measurements)],
            title=codes.DCM.ImagingMeasurementReport,
        )
        report = highdicom.sr.Comprehensive3DSR(
            evidence=[*one_a_file(result.sources), segmentation],
            content=content,
            is_complete=True,
            is_final=False,
            is_verified=False,
            **result.series_fields("SR", [_values(item) for item in measurements]),
        )
    set_moment(report, result)
    return report


def _observer(result: LesionResult) -> highdicom.sr.ObservationContext:
    """The software as the observer."""
    return highdicom.sr.ObservationContext(
        observer_device_context=highdicom.sr.ObserverContext(
            observer_type=codes.DCM.Device,
            observer_identifying_attributes=highdicom.sr.DeviceObserverIdentifyingAttributes(
                uid=result.software_uid,
                name=f"{SOFTWARE} ({result.model.warning})" if result.model.warning else SOFTWARE,
                manufacturer_name=SOFTWARE,
                model_name=SOFTWARE,
                serial_number=result.model.fingerprint,
            ),
        )
    )


def _algorithm(result: LesionResult) -> highdicom.sr.AlgorithmIdentification:
    return highdicom.sr.AlgorithmIdentification(
        name=SOFTWARE,
        version=lesionclick.__version__,
        parameters=[f"{key}={value}" for key, value in result.algorithm_parameters.items()],
        family=codes.DCM.ArtificialIntelligence,
        manufacturer=SOFTWARE,
    )


def _group(
    result: LesionResult, lesion: Measured, segmentation: highdicom.seg.Segmentation
) -> highdicom.sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    """The measurements of a lesion (TID 1411)."""
    organ = result.organ_code(lesion.number)
    site = [highdicom.sr.FindingSite(anatomic_location=organ)] if organ else []
    values = [
        *_volume(lesion.volume_ml),
        *_measurement(SUV, lesion.suv_max, SUV_UNIT, codes.SCT.Maximum),
        *_measurement(SUV, lesion.suv_mean, SUV_UNIT, codes.SCT.Mean),
        *_measurement(SUV, lesion.suv_peak, SUV_UNIT, codes.DCM.PeakValueWithinROI),
        *_measurement(codes.DCM.TotalLesionGlycolysis, lesion.tlg, GRAM),
    ]
    return highdicom.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=highdicom.sr.TrackingIdentifier(
            uid=result.tracking_uid(lesion.number), identifier=result.tracking_id(lesion.number)
        ),
        referenced_segment=highdicom.sr.ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=lesion.number,
            source_series=highdicom.sr.SourceSeriesForSegmentation(result.pet.uid),
        ),
        finding_category=CATEGORY,
        finding_type=LESION,
        algorithm_id=_algorithm(result),
        finding_sites=site,
        measurements=values,
    )


def _group_of_all(
    result: LesionResult, measurements: Sequence[Measured]
) -> highdicom.sr.MeasurementsAndQualitativeEvaluations:
    """The measurements of all lesions together (TID 1501)."""
    glycolyses = [lesion.tlg for lesion in measurements if lesion.tlg is not None]
    return highdicom.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=highdicom.sr.TrackingIdentifier(
            uid=result.tracking_uid(0), identifier=result.tracking_id(0)
        ),
        finding_category=CATEGORY,
        finding_type=LESION,
        algorithm_id=_algorithm(result),
        measurements=[
            *_measurement(codes.SCT.NumberOfLesions, result.count, codes.UCUM.NoUnits),
            *_volume(sum(lesion.volume_ml for lesion in measurements)),
            *_measurement(codes.DCM.TotalLesionGlycolysis, sum(glycolyses), GRAM),
        ],
    )


def _volume(value: float) -> list[highdicom.sr.Measurement]:
    method = codes.DCM.SumOfSegmentedVoxelMethodForVolume
    return _measurement(codes.SCT.Volume, value, codes.UCUM.CubicCentimeter, method=method)


def _measurement(
    name: Code, value: float | None, unit: Code, derivation: Code | None = None, method: Code | None = None
) -> list[highdicom.sr.Measurement]:
    """A measurement (TID 300), or none where there is no value."""
    if value is None or not math.isfinite(value):
        return []
    rounded = round(float(value), DECIMALS)
    return [highdicom.sr.Measurement(name=name, value=rounded, unit=unit, derivation=derivation, method=method)]


def _values(lesion: Measured) -> tuple[float | None, ...]:
    return lesion.number, lesion.volume_ml, lesion.suv_max, lesion.suv_mean, lesion.suv_peak, lesion.tlg
