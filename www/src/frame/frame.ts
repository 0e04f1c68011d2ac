import { acquire, isAbort, release, type Session } from '../engine/session.js';
import { MODELS, keyOf, titleOf, type ModelChoice } from '../engine/catalog.js';
import { firstAnswer } from '../engine/clock.js';
import { namesOf } from '../engine/knows.js';
import { onSettings, settings } from '../engine/settings.js';
import { onLanguage, t } from '../i18n/index.js';
import { fromDrop } from '../engine/files.js';
import { button } from '../ui/controls.js';
import { fill, h, uid } from '../ui/dom.js';
import { announce } from '../ui/live.js';
import type { Host, AnyPanel } from '../panels/panel.js';
import { codeBox } from './code-box.js';
import { errorCard } from './error-card.js';
import { chooseModel } from './model-dialog.js';
import { modelBar } from './model-bar.js';
import { offerCard, progressCard } from './loading.js';
import { report } from './report.js';

/** Typing pauses of this length are an invitation to answer. */
const DEBOUNCE_MS = 180;

/** A panel with everything around it: model, loading, asking, cancelling, times, errors. */
export class Frame {
  readonly element: HTMLElement;
  readonly heading: HTMLHeadingElement;
  private session: Session;
  private choice: ModelChoice;
  private running: AbortController | undefined;
  private stale = false;
  private showing = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private unsubscribe: () => void = () => undefined;
  private problem: unknown;
  private answered = false;
  private readonly view;
  private readonly bar;
  private readonly report;
  private readonly code;
  private readonly status = h('div', { class: 'status-slot' });
  private readonly knows = h('p', { class: 'hint knows', hidden: true });
  private readonly output: HTMLElement;
  private readonly askButton: HTMLButtonElement;
  private readonly cancelButton: HTMLButtonElement;

  constructor(private readonly panel: AnyPanel) {
    const texts = () => t().panels[panel.id];
    this.choice = MODELS[panel.task][0];
    const choiceNow = () => this.choice;
    const host: Host = {
      get model() {
        return choiceNow();
      },
      changed: () => this.inputChanged(),
      ask: () => void this.ask(),
      show: () => this.show(),
    };
    this.session = acquire(panel.task, this.choice, settings.device, settings.dtype);
    this.view = panel.create(host);
    this.bar = modelBar(
      () => this.pickModel(),
      () => this.unload(),
      (choice) => this.use(choice),
    );
    this.report = report(() => void this.ask());
    this.code = codeBox(panel, () => this.view.code());
    this.askButton = button(
      () => this.askLabel(),
      'button primary',
      () => void this.ask(),
    );
    this.cancelButton = button(
      () => t().common.cancel,
      'button ghost',
      () => this.cancel(),
    );
    this.heading = h('h2', { tabindex: -1, id: uid('panel') }, () => texts().title);
    this.output = h('div', { class: 'output' }, this.view.output);
    const answerTitle = h('h3', { id: uid('answer') }, () => t().common.answer);
    const inputTitle = h('h3', { id: uid('input') }, () => t().common.input);
    this.element = h(
      'article',
      { class: 'panel', 'aria-labelledby': this.heading.id, 'data-panel': panel.id },
      h(
        'header',
        { class: 'panel-head' },
        this.heading,
        h('p', { class: 'lead' }, () => texts().lead),
      ),
      this.bar.element,
      h(
        'div',
        { class: 'columns' },
        h(
          'section',
          { class: 'card', 'aria-labelledby': inputTitle.id },
          inputTitle,
          this.view.input,
          this.knows,
          h('div', { class: 'row actions' }, this.askButton, this.cancelButton),
        ),
        h(
          'section',
          { class: 'card', 'aria-labelledby': answerTitle.id },
          answerTitle,
          this.status,
          this.output,
        ),
      ),
      this.report.element,
      this.code.element,
    );
    this.acceptDrops();
    this.element.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void this.ask();
    });
    this.follow();
    onSettings(() => this.use(this.choice));
    onLanguage(() => {
      if (this.answered) this.view.redraw();
      this.render();
    });
  }

  /** Called when the panel comes into view: what ships with the page starts by itself. */
  open(): void {
    if (this.startsItself && !this.answered && this.session.state.kind !== 'failed') void this.ask();
  }

  /** Not where the reader has asked the browser to save data: then the button starts it. */
  get startsItself(): boolean {
    const { connection } = navigator as { connection?: { saveData?: boolean } };
    return this.choice.kind === 'embedded' && !connection?.saveData;
  }

  /** Turns to the camera or the microphone; `start`: the reader has just asked for it by a click. */
  openLive(start: boolean): void {
    if (!this.view.goLive) return this.open();
    this.running?.abort();
    this.running = undefined;
    this.view.goLive();
    this.render();
    if (start && this.startsItself) void this.ask();
  }

  /** Another model, or the same on another device. */
  private use(choice: ModelChoice): void {
    // Another one of the hub waits for the button: it is a download.
    const again = this.session.state.kind === 'ready' && keyOf(choice) === keyOf(this.choice);
    this.running?.abort();
    this.running = undefined;
    const old = this.session;
    this.choice = choice;
    this.session = acquire(this.panel.task, choice, settings.device, settings.dtype);
    release(old);
    this.problem = undefined;
    this.answered = false;
    this.view.reset?.();
    this.follow();
    const visible = !this.element.hidden && this.element.isConnected;
    if (visible && (choice.kind === 'embedded' || choice.kind === 'files' || again)) void this.ask();
  }

  private follow(): void {
    this.unsubscribe();
    this.unsubscribe = this.session.onChange(() => this.render());
    this.code.update(this.choice);
    void this.showNames();
    this.render();
  }

  private async showNames(): Promise<void> {
    const { choice } = this;
    const names = await namesOf(this.panel.task, choice);
    if (choice !== this.choice) return;
    this.knows.hidden = names.length === 0;
    const listed = h('span', { lang: 'en' }, names.join(', '));
    fill(this.knows, () => `${t().models.knows(names.length)}: `, listed, '.');
  }

  /** A call that goes on for long has something to show before its end. */
  private show(): void {
    if (!this.running) return;
    // Asking again while one watches would start anew at the end.
    if (this.showing && this.answered) return;
    this.showing = true;
    this.stale = false;
    this.answered = true;
    firstAnswer.note();
    this.render();
  }

  private inputChanged(): void {
    this.code.update(this.choice);
    this.renderAsk();
    if (!this.panel.live || this.session.state.kind !== 'ready') return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.ask(), DEBOUNCE_MS);
  }

  /** Loads if need be, then answers. While a call runs, one more may wait; it reads the inputs when its turn comes. */
  private async ask(): Promise<void> {
    clearTimeout(this.timer);
    this.code.update(this.choice);
    if (this.running) {
      this.stale = !this.showing;
      return;
    }
    const running = new AbortController();
    this.running = running;
    this.problem = undefined;
    this.stale = this.showing = false;
    const { session } = this;
    this.render();
    try {
      await session.load();
      const { signal } = running;
      const { profile } = this.report;
      const sentence = await this.view.answer((call, units) => session.run(call, { signal, profile }, units));
      if (sentence !== null && this.running === running) {
        this.answered = true;
        firstAnswer.note();
        announce(sentence);
      }
    } catch (error) {
      if (this.running === running && !isAbort(error)) this.problem = error;
    }
    // A change of model has taken over in the meantime: what follows is its business.
    if (this.running !== running) return;
    this.running = undefined;
    this.showing = false;
    this.render();
    if (this.stale && !this.problem) void this.ask();
  }

  private cancel(): void {
    this.stale = false;
    this.running?.abort();
    this.session.cancelLoad();
    announce(t().common.cancelled);
  }

  private unload(): void {
    this.running?.abort();
    this.running = undefined;
    void this.session.dispose();
  }

  private pickModel(): void {
    void chooseModel(this.panel.task, this.choice).then((choice) => {
      if (choice) this.use(choice);
    });
  }

  private acceptDrops(): void {
    const over = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes('Files')) return;
      event.preventDefault();
      this.element.classList.toggle('dropping', event.type === 'dragover');
    };
    this.element.addEventListener('dragover', over);
    this.element.addEventListener('dragleave', over);
    this.element.addEventListener('drop', (event) => {
      over(event);
      if (!event.dataTransfer) return;
      void fromDrop(event.dataTransfer).then((choice) => {
        if (choice) this.use(choice);
        else announce(t().models.nothingUseful);
      });
    });
  }

  private askLabel(): string {
    const remote = this.choice.kind === 'hub' || this.choice.kind === 'typed';
    const download = remote && this.session.state.kind !== 'ready';
    if (download) return t().common.downloadAndAsk;
    return this.view.askLabel?.() ?? t().panels[this.panel.id].ask;
  }

  private render(): void {
    const { state } = this.session;
    const loading = state.kind === 'loading';
    const problem = this.problem ?? (state.kind === 'failed' ? state.error : undefined);
    this.bar.render(this.session);
    this.report.render(this.session);
    this.renderAsk();
    // What shows its answer as it goes has its own button to stop it.
    this.cancelButton.hidden = (!loading && !this.running) || this.showing;
    this.element.setAttribute('aria-busy', String(loading || this.running !== undefined));
    this.element.dataset['state'] = problem ? 'failed' : state.kind;
    fill(this.status, this.statusCard(problem));
    this.output.hidden = !this.answered;
  }

  private renderAsk(): void {
    const { askButton } = this;
    askButton.textContent = this.askLabel();
    askButton.disabled = this.session.state.kind === 'loading';
    // Where the answer shows as it goes, there is a button to stop it, and this one would do nothing.
    const hide = this.showing && !this.panel.live;
    if (hide === askButton.hidden) return;
    const focused = document.activeElement;
    const had = hide ? askButton === focused : focused === document.body || focused?.matches('.stop');
    askButton.hidden = hide;
    if (!had || this.element.hidden) return;
    if (hide) this.element.querySelector<HTMLElement>('.stop')?.focus();
    else askButton.focus();
  }

  /** What stands in place of an answer, or above the last one. */
  private statusCard(problem: unknown): HTMLElement | null {
    const { session, choice } = this;
    if (problem) {
      const retry = () => void this.ask();
      return errorCard(problem, session, retry, () => this.pickModel());
    }
    if (session.state.kind === 'loading') return progressCard(session.state.progress, titleOf(choice));
    if (session.state.kind === 'idle' && !this.answered) return offerCard(this.panel.task, choice);
    return null;
  }
}
