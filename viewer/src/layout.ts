// Where the three planes lie in their canvas.
import type { Grid } from './grid'
import type { Plane } from './slices'

export type Layout = 'all' | Plane | 'mip'

type Share = [number, number, number, number] // left, top, width and height as shares of the canvas
type Place = [Plane, Share]

const GAP = 6 // pixels between planes
const WEIGHTS: Record<Plane, number> = { axial: 1.25, coronal: 1, sagittal: 0.5 }
const EVEN = 0.02 // so little counts that widths are alike
const SPLITS = Array.from({ length: 24 }, (_, k) => 0.24 + 0.02 * k)

/**
 * One plane alone, or all of them: axial above the other two, or coronal beside the other two, divided so that the
 * images, of which the axial one counts most, are as large as they can be in this canvas.
 */
export function placePlanes(layout: Layout, grid: Grid, width: number, height: number): Place[] {
  if (layout !== 'all' && layout !== 'mip') return [[layout, [0, 0, 1, 1]]]
  const [x, y, z] = grid.dimsRAS.map((size, axis) => size * (grid.spacingRAS[axis] ?? 1)) as [number, number, number]
  const sizes: Record<Plane, [number, number]> = { axial: [x, y], coronal: [x, z], sagittal: [y, z] } // mm
  const worth = (places: Place[]) =>
    places.reduce((sum, [plane, [, , across, along]]) => {
      const [wide, high] = sizes[plane]
      const size = Math.log(Math.min((across * width) / wide, (along * height) / high))
      return sum + WEIGHTS[plane] * size + EVEN * Math.log(across)
    }, 0)
  const [gapX, gapY] = [GAP / width, GAP / height]
  const candidates = SPLITS.flatMap((across) => SPLITS.flatMap((along) => [above(across, along), beside(across, along)]))
  const best = candidates.reduce((best, next) => (worth(next) > worth(best) ? next : best))
  return best.map(([plane, [left, top, across, along]]) => [
    plane,
    [left, top, left + across < 1 ? across - gapX : 1 - left, top + along < 1 ? along - gapY : 1 - top],
  ])
}

function above(across: number, along: number): Place[] {
  return [
    ['axial', [0, 0, 1, along]],
    ['coronal', [0, along, across, 1 - along]],
    ['sagittal', [across, along, 1 - across, 1 - along]],
  ]
}

function beside(across: number, along: number): Place[] {
  return [
    ['axial', [across, 0, 1 - across, along]],
    ['coronal', [0, 0, across, 1]],
    ['sagittal', [across, along, 1 - across, 1 - along]],
  ]
}
