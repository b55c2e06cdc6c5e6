"""Summary of a case's lesions in a few lines, for people at a terminal."""

from lesionclick.report.measurements import LesionTable

LISTED = 10
"""Lesions that get a line of their own, the largest."""


def summarize(table: LesionTable) -> str:
    """How many lesions there are, their volume and uptake, and the same for the largest, a line each."""
    count = len(table.lesions)
    if not count:
        return "no lesions"
    lines = [
        f"{count} {'lesion' if count == 1 else 'lesions'}, total tumor volume {table.total_volume_ml:.1f} ml, "
        f"SUVmax {max(lesion.suv_max for lesion in table.lesions):.1f}, TLG {table.total_tlg:.1f}"
    ]
    for lesion in table.lesions[:LISTED]:
        place = lesion.organ or (f"near {lesion.nearest_organ}" if lesion.nearest_organ else "")
        line = f"  {lesion.number:3}  {lesion.volume_ml:8.2f} ml  SUVmax {lesion.suv_max:5.1f}  {place}"
        lines.append(line.rstrip())
    if count > LISTED:
        lines.append(f"  ... and {count - LISTED} smaller ones")
    if table.liver is not None:
        lines.append(f"liver SUVmean {table.liver.suv_mean:.1f}")
    return "\n".join(lines)
