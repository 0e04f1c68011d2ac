import { mountLiveRegion } from './ui/live.js';
import { mountTooltip } from './ui/tooltip.js';
import { mountFacts } from './shell/facts.js';
import { mountFooter, mountHeader } from './shell/header.js';
import { mountRouter } from './shell/router.js';

mountLiveRegion();
mountTooltip();
mountHeader();
mountFacts();
mountRouter();
mountFooter();
