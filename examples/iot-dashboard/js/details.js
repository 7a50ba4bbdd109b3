// @ts-check
/** The page of one broker or device: everything it has, what goes to the dashboard, and what one sends. */

import { sentence } from '../shared/js/connection.js';
import { $, button, element, icon, span } from '../shared/js/dom.js';
import { Broker } from './broker.js';
import { Items } from './items.js';
import { read } from './reading.js';
import { setText } from './tile.js';
import { Status } from './view.js';

/** @import { AnySource } from './tile.js' */
/** @import { Actions } from './view.js' */
/** @import { Device } from './device.js' */

export class Details {
  /** @param {AnySource} source @param {Actions} actions */
  constructor(source, actions) {
    this.source = source;
    this.status = new Status(source);
    this.parts = source instanceof Broker ? brokerParts(source) : deviceParts(source);
    this.root = element(
      'div',
      'details',
      element('div', 'state', ...this.status.parts),
      this.status.banner,
      ...this.parts.map(({ root }) => root),
    );
    const remove = button('quiet', () => actions.remove(source), icon('bin'), 'Remove');
    remove.id = 'remove';
    const change = button('quiet', () => actions.change(source), icon('pen'), 'Edit');
    change.id = 'change';
    change.setAttribute('aria-haspopup', 'dialog');
    $('tools').replaceChildren(change, remove);
  }

  update() {
    this.status.update();
    this.parts.forEach((part) => part.update());
  }

  destroy() {
    $('tools').replaceChildren();
    this.root.remove();
  }
}

/** @param {Broker} broker */
function brokerParts(broker) {
  return [new Items(broker), new Filters(broker), new Publish(broker)];
}

/** @param {Device} device */
function deviceParts(device) {
  return [new Items(device), new Request(device)];
}

/** What a broker is asked for. */
class Filters {
  #drawn = '';

  /** @param {Broker} broker */
  constructor(broker) {
    this.broker = broker;
    this.list = element('ul', 'filters');
    this.input = element('input', '');
    this.input.id = 'filter';
    this.input.placeholder = 'home/+/temperature';
    this.input.spellcheck = false;
    this.input.autocapitalize = 'off';
    this.input.setAttribute('aria-label', 'Filter to subscribe to');
    const add = element('button', '', 'Subscribe');
    add.className = 'quiet';
    const form = element('form', 'row', this.input, add);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.input.value.trim() !== '') {
        broker.add(this.input.value.trim());
        this.input.value = '';
      }
    });
    this.root = element('section', 'panel', element('header', '', element('h2', '', 'Subscriptions')), this.list, form);
  }

  update() {
    const filters = [...this.broker.filters.values()];
    const drawn = JSON.stringify(filters.map(({ filter, answer }) => [filter, answer]));
    if (drawn === this.#drawn) {
      return;
    }
    this.#drawn = drawn;
    this.list.replaceChildren(...filters.map(({ filter, answer, refused }) => {
      const remove = button('icon', () => this.broker.remove(filter), icon('close'));
      remove.setAttribute('aria-label', `Unsubscribe from ${filter}`);
      return element('li', '', span('key', filter), span(refused ? 'bad' : 'muted', answer || 'asked for…'), remove);
    }));
  }
}

class Publish {
  /** @param {Broker} broker */
  constructor(broker) {
    this.topic = labelled('Topic', element('input', ''), 'publish-topic');
    this.payload = labelled('Message', element('input', ''), 'publish-payload');
    const qos = element('select', '', ...['0', '1', '2'].map((level) => element('option', '', level)));
    qos.value = '1';
    this.qos = labelled('QoS', qos, 'publish-qos');
    const retain = element('input', '');
    retain.type = 'checkbox';
    retain.id = 'publish-retain';
    this.answer = element('p', 'answer');
    this.answer.id = 'publish-answer';
    this.answer.setAttribute('role', 'status');
    const send = element('button', 'primary', 'Publish');
    send.id = 'publish';
    const form = element(
      'form',
      'form',
      element('div', 'row', this.topic.root, this.payload.root, this.qos.root),
      element('div', 'row ends', element('label', 'check', retain, span('', 'Retained: kept for those who come later')), send),
      this.answer,
    );
    form.noValidate = true;
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      this.#say('Publishing…', false);
      try {
        const level = /** @type {0 | 1 | 2} */ (Number(qos.value));
        const { code, reason } = await broker.publish(this.topic.value, this.payload.value, { qos: level, retain: retain.checked });
        this.#say(level === 0 ? 'Sent.' : `Delivered: ${reason || code}.`, false);
      } catch (error) {
        this.#say(sentence(error instanceof Error ? error.message : String(error)), true);
      }
    });
    this.root = element('section', 'panel', element('header', '', element('h2', '', 'Publish')), form);
  }

  update() {}

  /** @param {string} text @param {boolean} bad */
  #say(text, bad) {
    this.answer.classList.toggle('bad', bad);
    setText(this.answer, text);
  }
}

class Request {
  /** @param {Device} device */
  constructor(device) {
    const method = element('select', '', ...['GET', 'PUT', 'POST', 'DELETE'].map((name) => element('option', '', name)));
    this.method = labelled('Method', method, 'request-method');
    this.path = labelled('Path', element('input', ''), 'request-path');
    this.payload = labelled('Payload', element('input', ''), 'request-payload');
    this.answer = element('p', 'answer');
    this.answer.id = 'request-answer';
    this.answer.setAttribute('role', 'status');
    const send = element('button', 'primary', 'Send');
    send.id = 'request';
    const form = element('form', 'form', element('div', 'row', this.method.root, this.path.root, this.payload.root, send), this.answer);
    form.noValidate = true;
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      this.answer.classList.remove('bad');
      setText(this.answer, 'Asking…');
      try {
        const { client } = device;
        if (!client) {
          throw new Error('there is no connection');
        }
        const [path, payload] = [this.path.value, this.payload.value];
        const started = performance.now();
        const response = await {
          GET: () => client.get(path),
          PUT: () => client.put(path, payload),
          POST: () => client.post(path, payload),
          DELETE: () => client.delete(path),
        }[/** @type {'GET' | 'PUT' | 'POST' | 'DELETE'} */ (method.value)]();
        const took = Math.round(performance.now() - started);
        const said = read(response.payload).text;
        this.answer.classList.toggle('bad', !response.ok);
        setText(this.answer, `${response.code} ${response.reason}, in ${took} ms${said ? `: ${said}` : ''}`);
      } catch (error) {
        this.answer.classList.add('bad');
        setText(this.answer, device.explain(error));
      }
    });
    this.root = element('section', 'panel', element('header', '', element('h2', '', 'Request')), form);
  }

  update() {}
}

/**
 * @param {string} text
 * @param {HTMLInputElement | HTMLSelectElement} input
 * @param {string} id
 */
function labelled(text, input, id) {
  input.id = id;
  input.autocomplete = 'off';
  if (input instanceof HTMLInputElement) {
    input.spellcheck = false;
    input.autocapitalize = 'off';
  }
  const root = element('label', input instanceof HTMLInputElement ? 'grow' : '', text, input);
  return { root, get value() { return input.value.trim(); } };
}
