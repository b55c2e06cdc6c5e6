// The overlay that lists what mouse and keys do.
import { byId, make } from './dom'

const GROUPS: Record<string, [string[], string][]> = {
  Correct: [
    [['Left click'], 'tumor: this was missed'],
    [['Right click', 'Shift + click'], 'background: this is no tumor'],
    [['T', 'B'], 'tumor, background at the crosshair'],
    [['Ctrl + Z', 'Ctrl + Shift + Z'], 'undo, redo'],
    [['C', 'Shift + C'], 'next, previous click'],
    [['Delete'], 'deletes the selected click'],
    [['L'], 'click, or look only'],
  ],
  'Find your way': [
    [['Drag', 'Alt + click'], 'crosshair'],
    [['Arrows'], 'crosshair in the plane; Shift: by five'],
    [['Wheel', 'Page up', 'Page down'], 'slice'],
    [['Ctrl + wheel', '+', '−', '0'], 'zoom; 0: whole image'],
    [['Right drag'], 'moves a zoomed image'],
    [['N', 'Shift + N'], 'next, previous lesion'],
  ],
  Images: [
    [['F'], 'fusion, PET, CT'],
    [['I'], 'PET in hot colors or inverse gray'],
    [['[', ']'], 'narrower, wider SUV window'],
    [['W'], 'next CT window'],
    [['M', 'O'], 'mask, outline'],
  ],
  Views: [
    [['1', '2', '3', '4'], 'axial, coronal, sagittal, MIP alone'],
    [['Escape'], 'all of them'],
    [['R'], 'rotates the MIP, or stops it'],
    [['Drag the MIP'], 'turns it'],
    [['Click the MIP'], 'goes to the hottest voxel there'],
    [['?'], 'this help'],
  ],
}

export function buildHelp(version: string): void {
  const dialog = byId<HTMLDialogElement>('help')
  const close = make('button', { className: 'primary' }, 'Close')
  close.addEventListener('click', () => dialog.close())
  const sections = Object.entries(GROUPS).map(([title, rows]) =>
    make('section', {}, make('h3', {}, title), make('dl', {}, ...rows.flatMap(([keys, what]) => [
      make('dt', {}, ...keys.map((key) => make('kbd', {}, key))),
      make('dd', {}, what),
    ]))),
  )
  dialog.replaceChildren(
    make('h2', { id: 'help-title' }, 'Mouse and keys'),
    make('div', { className: 'columns' }, ...sections),
    make(
      'footer',
      {},
      make('p', {}, `Radiological convention: the patient's right is on the left. LesionClick ${version}`),
      close,
    ),
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
