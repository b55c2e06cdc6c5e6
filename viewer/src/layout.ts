// Where the three planes lie in their canvas.
import type { Grid } from './grid'
import type { Plane } from './slices'

export type Layout = 'all' | Plane | 'mip'

type Place = [Plane, [number, number, number, number]]

const GAP = 6 // pixels between planes

/** All planes: axial above, coronal and sagittal below it, as large as width and height allow; or one alone. */
export function placePlanes(layout: Layout, grid: Grid, width: number, height: number): Place[] {
  if (layout !== 'all' && layout !== 'mip') return [[layout, [0, 0, 1, 1]]]
  const [x, y] = [grid.dimsRAS[0] * grid.spacingRAS[0], grid.dimsRAS[1] * grid.spacingRAS[1]]
  // the axial plane needs no more height than its width allows, and leaves the long planes the larger part
  const axial = Math.min(Math.max((width * y) / x / height, 0.28), 0.4)
  const coronal = Math.min(Math.max(x / (x + y), 0.45), 0.65)
  const [gapX, gapY] = [GAP / width, GAP / height]
  return [
    ['axial', [0, 0, 1, axial - gapY]],
    ['coronal', [0, axial, coronal - gapX, 1 - axial]],
    ['sagittal', [coronal, axial, 1 - coronal, 1 - axial]],
  ]
}
