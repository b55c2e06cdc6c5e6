// The mask: fetched, unpacked and held in the order of the file, which is that of the case's grid.
import { ApiError, download } from './api'
import type { Triple } from './grid'

const UINT8 = 2 // NIfTI's code of the type

/** The voxels of a mask, 0 outside. Raises ApiError where the file is not a mask on a grid of these dimensions. */
export async function fetchMask(session: string, version: number, dims: Triple): Promise<Uint8Array> {
  const packed = await download(`sessions/${session}/mask.nii.gz?version=${version}`)
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'))
  return readMask(await new Response(unpacked).arrayBuffer(), dims)
}

export function readMask(file: ArrayBuffer, dims: Triple): Uint8Array {
  const header = new DataView(file)
  const found = [42, 44, 46].map((at) => header.getInt16(at, true))
  const count = dims[0] * dims[1] * dims[2]
  const offset = header.getFloat32(108, true)
  if (header.getInt16(70, true) !== UINT8 || found.some((size, axis) => size !== dims[axis])) {
    throw new ApiError(`The server sent a mask of ${found.join(' x ')} voxels, expected ${dims.join(' x ')} bytes.`, 0)
  }
  return new Uint8Array(file, offset, count)
}
