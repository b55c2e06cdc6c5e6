// Maximum-intensity projections of PET around the body's long axis, computed in a worker (mip-worker.ts).
import type { Triple } from './grid'

/** PET on RAS axes, a few millimeters a voxel, what projections are made of. */
export interface Coarse {
  values: Float32Array // x fastest
  dims: Triple
  factor: Triple // how many voxels of the case each of these took the maximum of, along each RAS axis
  spacing: Triple // mm
}

/** One direction of view. */
export interface Frame {
  values: Float32Array // SUV, row by row from the head down
  depths: Uint16Array // at which step along the ray the maximum was found
}

/** How frames lie in space: `step` mm a pixel, turned about the middle of the image. */
export interface Screen {
  width: number
  height: number
  depth: number // steps along a ray
  step: number // mm across, and along a ray
  rise: number // mm a row
}

const FINEST_MM = 3

/** The maximum over blocks, so that voxels are at least some 3 mm in size and no hot one is lost. */
export function coarsen(
  read: (ras: Triple) => number,
  dims: Triple,
  spacing: Triple,
  finest: number = FINEST_MM,
): Coarse {
  const factor = spacing.map((mm) => Math.max(1, Math.round(finest / mm))) as Triple
  const size = dims.map((count, axis) => Math.ceil(count / (factor[axis] ?? 1))) as Triple
  const values = new Float32Array(size[0] * size[1] * size[2])
  for (let z = 0; z < dims[2]; z++) {
    for (let y = 0; y < dims[1]; y++) {
      const row = (Math.floor(z / factor[2]) * size[1] + Math.floor(y / factor[1])) * size[0]
      for (let x = 0; x < dims[0]; x++) {
        const at = row + Math.floor(x / factor[0])
        const value = read([x, y, z])
        if (value > (values[at] ?? 0)) values[at] = value
      }
    }
  }
  return { values, dims: size, factor, spacing: spacing.map((mm, axis) => mm * (factor[axis] ?? 1)) as Triple }
}

/** Rays across the body at any angle stay on the screen: it is as wide as the diagonal of an axial slice needs. */
export function screenOf(coarse: Coarse): Screen {
  const [x, y] = [coarse.dims[0] * coarse.spacing[0], coarse.dims[1] * coarse.spacing[1]]
  const step = Math.min(Math.max(Math.min(coarse.spacing[0], coarse.spacing[1]), FINEST_MM), 4)
  const across = Math.ceil(Math.max(x, y) / step)
  return { width: across, height: coarse.dims[2], depth: Math.ceil(Math.hypot(x, y) / step), step, rise: coarse.spacing[2] }
}

/** The directions of a ray and of the screen's width in a slice; at 0 degrees we look from the front, right on the left. */
export function directions(angle: number): { across: [number, number]; along: [number, number] } {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
  return { across: [-cos, sin], along: [-sin, -cos] }
}

export function project(coarse: Coarse, screen: Screen, angle: number): Frame {
  const { values, dims, spacing } = coarse
  const frame = {
    values: new Float32Array(screen.width * screen.height),
    depths: new Uint16Array(screen.width * screen.height),
  }
  const { across, along } = directions(angle)
  const [nx, ny] = dims
  // one slice's rays are those of each slice: where they cross voxels is computed once
  const taps: { index: number; fx: number; fy: number; column: number; depth: number }[] = []
  for (let column = 0; column < screen.width; column++) {
    const u = (column + 0.5 - screen.width / 2) * screen.step
    for (let depth = 0; depth < screen.depth; depth++) {
      const v = (depth + 0.5 - screen.depth / 2) * screen.step
      const x = (u * across[0] + v * along[0]) / spacing[0] + nx / 2 - 0.5
      const y = (u * across[1] + v * along[1]) / spacing[1] + ny / 2 - 0.5
      const [x0, y0] = [Math.floor(x), Math.floor(y)]
      if (x0 < 0 || y0 < 0 || x0 >= nx - 1 || y0 >= ny - 1) continue
      taps.push({ index: y0 * nx + x0, fx: x - x0, fy: y - y0, column, depth })
    }
  }
  for (let z = 0; z < dims[2]; z++) {
    const slice = z * nx * ny
    const row = (screen.height - 1 - z) * screen.width
    for (const { index, fx, fy, column, depth } of taps) {
      const at = slice + index
      const low = (values[at] as number) * (1 - fx) + (values[at + 1] as number) * fx
      const high = (values[at + nx] as number) * (1 - fx) + (values[at + nx + 1] as number) * fx
      const value = low * (1 - fy) + high * fy
      if (value > (frame.values[row + column] as number)) {
        frame.values[row + column] = value
        frame.depths[row + column] = depth
      }
    }
  }
  return frame
}

/** Where a point (RAS mm from the image's corner) appears: column and row of the screen, not rounded. */
export function onScreen(coarse: Coarse, screen: Screen, angle: number, mm: Triple): [number, number] {
  const { across } = directions(angle)
  const x = mm[0] - (coarse.dims[0] * coarse.spacing[0]) / 2
  const y = mm[1] - (coarse.dims[1] * coarse.spacing[1]) / 2
  const u = x * across[0] + y * across[1]
  return [u / screen.step + screen.width / 2, screen.height - mm[2] / screen.rise]
}

/** The point (RAS mm from the image's corner) that a pixel of a frame shows. */
export function inSpace(coarse: Coarse, screen: Screen, angle: number, column: number, row: number, depth: number): Triple {
  const { across, along } = directions(angle)
  const u = (column + 0.5 - screen.width / 2) * screen.step
  const v = (depth + 0.5 - screen.depth / 2) * screen.step
  return [
    u * across[0] + v * along[0] + (coarse.dims[0] * coarse.spacing[0]) / 2,
    u * across[1] + v * along[1] + (coarse.dims[1] * coarse.spacing[1]) / 2,
    (screen.height - row - 0.5) * screen.rise,
  ]
}
