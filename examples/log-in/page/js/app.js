// @ts-check
/** The page: whoever is logged in talks over an MQTT broker, through a relay that takes the back end's tokens. */

import { JackfieldError, open } from '../jackfield/mqtt.js';
import { $, definitions, element, field } from '../shared/js/dom.js';

/** @import { Mqtt } from '../jackfield/mqtt.js' */

/** What people say, each below his name. */
const TOPIC = 'log-in/said';
/** How many lines of it are shown. */
const MAX_SAID = 50;

/** @typedef {{ sub: string, exp: number, allow: string[] }} Claims What a token says. */
/** The last token, and how many there were. @type {{ claims: Claims | null, count: number }} */
const shown = { claims: null, count: 0 };

/** @param {string} path @param {object} [said] */
function post(path, said) {
  return fetch(path, { method: 'POST', body: said && JSON.stringify(said) });
}

/** What the network asks for a token: whenever it opens a connection to the relay, and before the last one ends. */
async function token() {
  const answer = await post('relay-token');
  if (answer.status === 401) {
    throw new JackfieldError('denied', 'you are not logged in any more');
  }
  if (!answer.ok) {
    throw new Error(`the back end answers ${answer.status}`);
  }
  const jwt = await answer.text();
  shown.claims = claims(jwt);
  shown.count += 1;
  showToken();
  return jwt;
}

/** What a JWT says, which its bearer may read. @param {string} jwt @returns {Claims} */
function claims(jwt) {
  const [, said = ''] = jwt.split('.');
  return JSON.parse(atob(said.replaceAll('-', '+').replaceAll('_', '/')));
}

function showToken() {
  const { claims: known, count } = shown;
  if (known === null) {
    return;
  }
  const left = Math.max(0, Math.round(known.exp - Date.now() / 1000));
  const ends = $('ended').hidden ? `in ${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}` : 'ended';
  $('token').replaceChildren(...definitions([
    ['Who', known.sub],
    ['Reaches', known.allow.join(', ')],
    ['Tokens so far', String(count)],
    ['Ends', ends],
  ]));
}

/** Shows who is logged in, and opens what is his; the log-in, where nobody is. */
async function start() {
  const answer = await fetch('me');
  $('log-in').hidden = answer.ok;
  $('inside').hidden = !answer.ok;
  if (!answer.ok) {
    field('name').focus();
    return;
  }
  const { name, relay, broker: url, roots } = await answer.json();
  $('who').textContent = `You are ${name}`;
  const network = await open({ relay, token, roots });
  // While a connection is lost the broker keeps what is said; by QoS 2 each line is there once.
  const broker = await network.mqtt(url, { sessionExpiry: 60, reconnect: { first: 100 } });
  setInterval(showToken, 1000);
  follow(broker);
  listen(broker);
  $('say').onsubmit = (event) => {
    event.preventDefault();
    const said = field('text').value;
    broker.publish(`${TOPIC}/${name}`, said, { qos: 2 }).catch(showEnd);
    field('text').value = '';
  };
  $('log-out').onclick = () => post('log-out');
}

/** Shows where the connection stands. @param {Mqtt} broker */
async function follow(broker) {
  const show = () => {
    const { state } = broker;
    $('state').className = `pill ${state}`;
    $('state').textContent = state === 'waiting' ? 'connecting' : state;
  };
  show();
  broker.closed.catch(showEnd).then(show);
  try {
    for await (const _ of broker) {
      show();
    }
  } catch {
    // It is shown already.
  }
}

/** Shows what is said. @param {Mqtt} broker */
async function listen(broker) {
  try {
    for await (const message of broker.subscribe(`${TOPIC}/+`, { qos: 2 })) {
      const line = element('li', '', element('strong', '', message.topic.slice(TOPIC.length + 1)), ' ', message.text());
      $('said').append(line);
      if ($('said').childElementCount > MAX_SAID) {
        $('said').firstElementChild?.remove();
      }
      line.scrollIntoView({ block: 'nearest' });
    }
  } catch (error) {
    showEnd(error);
  }
}

/** @param {unknown} error */
function showEnd(error) {
  const { cause, message } = /** @type {JackfieldError} */ (error);
  const why = cause instanceof JackfieldError ? cause.message : message;
  $('ended').textContent = `The connection has ended: ${why}.`;
  $('ended').hidden = false;
  $('say').hidden = true;
  $('renewal').hidden = true;
  $('log-out').hidden = true;
  $('again').hidden = false;
  showToken();
}

$('log-in').onsubmit = async (event) => {
  event.preventDefault();
  // What is told is of this attempt.
  $('log-in-error').hidden = true;
  $('log-in-error').textContent = '';
  const answer = await post('log-in', { name: field('name').value, password: field('password').value });
  $('log-in-error').hidden = answer.ok;
  if (answer.ok) {
    await start();
  } else {
    $('log-in-error').textContent = answer.status === 401
      ? 'That is not the name and the password of anybody here.'
      : `The back end answers ${answer.status}.`;
    field('password').select();
  }
};
$('again').onclick = () => location.reload();

await start();
