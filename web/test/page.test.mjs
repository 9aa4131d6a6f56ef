import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isolate } from '../page/js/bidi.js';
import { isComposing } from '../page/js/dom.js';
import { Emitter } from '../page/js/emitter.js';
import { displayNameOf } from '../page/js/people.js';
import { roomIdIn } from '../page/js/workspace.js';

test('emitter_calls_every_listener_when_one_throws', (t) => {
  const reported = t.mock.method(console, 'error', () => {});
  const emitter = new Emitter();
  const called = [];
  emitter.on('x', () => called.push('first'));
  emitter.on('x', () => { throw new Error('broken view'); });
  emitter.on('x', () => called.push('last'));
  emitter.emit('x');
  assert.deepEqual(called, ['first', 'last']);
  assert.equal(reported.mock.callCount(), 1);
});

test('an_address_with_broken_encoding_names_a_room_that_is_nobodys', () => {
  assert.equal(roomIdIn('#/rooms/a%3Ab'), 'a:b');
  for (const hash of ['#/rooms/%', '#/rooms/ok%zz', '#/rooms/%E0%A4%A']) assert.equal(roomIdIn(hash), hash.slice('#/rooms/'.length));
  for (const hash of ['', '#', '#/', '#%', '#/rooms/']) assert.equal(roomIdIn(hash), undefined);
});

test('keys_of_an_input_method_are_not_taken_for_commands', () => {
  assert.equal(isComposing({ isComposing: false, keyCode: 229 }), true);
  assert.equal(isComposing({ isComposing: true, keyCode: 13 }), true);
  assert.equal(isComposing({ isComposing: false, keyCode: 13 }), false);
});

test('a_name_cannot_turn_the_text_around_it', () => {
  assert.equal(displayNameOf({ userId: 'u', name: 'bo', displayName: '\u202Eevil\u2069' }), 'evil');
  assert.equal(displayNameOf({ userId: 'u', name: 'bo', displayName: '\u202E\u200F' }), 'bo');
  assert.equal(isolate('a\u2069b'), '\u2068ab\u2069');
});
