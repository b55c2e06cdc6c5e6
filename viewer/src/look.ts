// Where the reader looks and what is chosen; it belongs to one visit and is not kept.
import type { Voxel } from './api'
import type { Layout } from './layout'
import type { Plane } from './slices'
import { Store } from './store'

export interface Look {
  cursor: Voxel
  plane: Plane // the one that arrow keys move in
  layout: Layout
  looksOnly: boolean // the mouse sets no clicks
  click: number | null // id of the selected click
  lesion: number | null // number of the selected lesion
}

export const look = new Store<Look>({
  cursor: { x: 0, y: 0, z: 0 },
  plane: 'axial',
  layout: 'all',
  looksOnly: false,
  click: null,
  lesion: null,
})
