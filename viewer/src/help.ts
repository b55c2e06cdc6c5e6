// The overlay that lists what mouse and keys do.
import { byId, make } from './dom'

const MOUSE: [string, string][] = [
  ['Left click', 'tumor: this was missed'],
  ['Right click, Shift + click', 'background: this is no tumor'],
  ['Drag', 'moves the crosshair'],
  ['Alt + click', 'moves the crosshair, sets nothing'],
  ['Wheel', 'scrolls the slices'],
  ['Ctrl + wheel', 'zooms'],
  ['Right drag', 'moves a zoomed image'],
  ['Click in the projection', 'goes to the hottest voxel there'],
  ['Drag in the projection', 'turns it'],
]

const KEYS: [string, string][] = [
  ['T', 'tumor click at the crosshair'],
  ['B', 'background click at the crosshair'],
  ['Ctrl + Z', 'undo'],
  ['Ctrl + Shift + Z', 'redo'],
  ['Delete', 'deletes the selected click'],
  ['N, Shift + N', 'next, previous lesion'],
  ['C, Shift + C', 'next, previous click'],
  ['Arrows', 'move the crosshair in the plane; Shift: five voxels'],
  ['Page up, page down', 'next slice, previous slice of the plane'],
  ['1, 2, 3, 4', 'axial, coronal, sagittal, projection alone; again: all'],
  ['+, −, 0', 'zoom in, zoom out, whole image'],
  ['L', 'click or look only'],
  ['F', 'fusion, PET, CT'],
  ['I', 'PET hot or inverse gray'],
  ['W', 'next CT window'],
  ['[, ]', 'narrower, wider SUV window'],
  ['M, O', 'mask, outline on or off'],
  ['R', 'rotates the projection, or stops it'],
  ['?', 'this help'],
]

export function buildHelp(version: string): void {
  const dialog = byId<HTMLDialogElement>('help')
  const list = (rows: [string, string][]) =>
    make('dl', {}, ...rows.flatMap(([key, what]) => [make('dt', {}, key), make('dd', {}, what)]))
  const close = make('button', { className: 'primary' }, 'Close')
  close.addEventListener('click', () => dialog.close())
  dialog.replaceChildren(
    make('h2', { id: 'help-title' }, 'Mouse and keys'),
    make(
      'div',
      { className: 'columns' },
      make('section', {}, make('h3', {}, 'Mouse'), list(MOUSE)),
      make('section', {}, make('h3', {}, 'Keys'), list(KEYS)),
    ),
    make('p', { className: 'note' }, `Images are in radiological convention: the patient's right is on the left. LesionClick ${version}`),
    close,
  )
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close()
  })
}

export function toggleHelp(): void {
  const dialog = byId<HTMLDialogElement>('help')
  if (dialog.open) dialog.close()
  else dialog.showModal()
}
