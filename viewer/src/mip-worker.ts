// The worker that projects PET, one direction after another, while the page goes on.
import { project, type Coarse, type Screen } from './projection'

export interface Job {
  coarse: Coarse
  screen: Screen
  angles: number[]
}

self.onmessage = ({ data }: MessageEvent<Job>) => {
  data.angles.forEach((angle, index) => {
    const frame = project(data.coarse, data.screen, angle)
    self.postMessage({ index, frame }, { transfer: [frame.values.buffer, frame.depths.buffer] })
  })
}
