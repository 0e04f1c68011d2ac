import type { Panel } from './panel.js';
import { entities } from './entities.js';
import { search } from './search.js';

/** The demo's tasks in their order in the navigation. The first one opens, and should answer at once. */
export const PANELS: [Panel, ...Panel[]] = [entities, search];
