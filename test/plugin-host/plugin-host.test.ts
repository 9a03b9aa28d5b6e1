import type { InputDescriptor, OutputDescriptor } from '@chukcha/plugin-api';
import t from 'tap';
import { describeOptions } from '../../src/plugin-host/describe-options.js';
import {
  parsePluginAddress,
  parseSettings,
  resolvePluginOptions,
} from '../../src/plugin-host/plugin-options.js';
import { type HookRunner, PluginRegistry } from '../../src/plugin-host/plugin-registry.js';

const input: InputDescriptor = {
  apiVersion: 1,
  kind: 'input',
  name: 'gauge',
  summary: 'Reads a gauge.',
  options: {
    type: 'object',
    additionalProperties: false,
    required: ['path'],
    properties: {
      path: { type: 'string', minLength: 1, description: 'where the gauge is' },
      interval: {
        type: 'integer',
        minimum: 1,
        default: 10,
        description: 'seconds between readings',
      },
      mode: { type: 'string', enum: ['fast', 'slow'], default: 'fast', description: 'how to read' },
      tags: { type: 'array', items: { type: 'string' }, description: 'words for it' },
      cold: { type: 'boolean', default: false, description: 'whether it is cold' },
    },
  },
  parseAddress: (rest) => {
    if (rest === 'bad') throw new Error('expected a path.');
    return { path: rest };
  },
  load: () => Promise.reject(new Error('not loaded in this test')),
};

const output: OutputDescriptor = {
  apiVersion: 1,
  kind: 'output',
  name: 'drain',
  summary: 'Drains.',
  options: { type: 'object', additionalProperties: false, properties: {} },
  load: () => Promise.reject(new Error('not loaded in this test')),
};

/** Answers the hook as oclif would for some packages. */
function runnerOf(
  found: Readonly<Record<string, unknown>>,
  failed: Readonly<Record<string, Error>> = {},
): HookRunner {
  return {
    runHook: async () => ({
      successes: Object.entries(found).map(([name, result]) => ({ result, plugin: { name } })),
      failures: Object.entries(failed).map(([name, error]) => ({ error, plugin: { name } })),
    }),
  };
}

t.test(
  'plugins are listed by kind and name, whatever the order in which packages answer',
  async (t) => {
    const registry = await PluginRegistry.find(runnerOf({ b: [output], a: input }));
    t.same(
      registry.plugins.map((plugin) => `${plugin.descriptor.name} of ${plugin.packageName}`),
      ['gauge of a', 'drain of b'],
    );
    t.same(registry.problems, []);
    t.equal(registry.input('gauge').descriptor, input);
    t.equal(registry.output('drain').descriptor, output);
  },
);

t.test('a package that cannot be used is named, and the others work', async (t) => {
  const registry = await PluginRegistry.find(
    runnerOf(
      {
        good: [input],
        old: [{ ...input, apiVersion: 0 }],
        same: [input],
        nameless: [{ ...input, name: 'No Name' }],
        nothing: undefined,
      },
      { broken: new Error('its file is missing') },
    ),
  );
  t.equal(registry.plugins.length, 1);
  t.equal(registry.problems.length, 5);
  t.match(registry.problems[0], /broken could not be loaded \(its file is missing\)/);
  t.match(registry.problems.join('\n'), /old is made for version 0/);
  t.match(registry.problems.join('\n'), /same brings input gauge, which good has already/);
  t.match(registry.problems.join('\n'), /nameless describes a plugin without a kind, a name/);
});

t.test('a name that is not there gets the nearest one of its kind', async (t) => {
  const registry = await PluginRegistry.find(runnerOf({ a: [input], b: [output] }));
  t.throws(() => registry.input('guage'), {
    code: 'plugin_not_found',
    message: /did you mean gauge\?/,
  });
  t.throws(() => registry.input('drain'), {
    code: 'plugin_not_found',
    message: /expected one of gauge\./,
  });
});

t.test('an address and settings become options that the schema has checked', (t) => {
  const resolve = (address: string, ...settings: string[]): unknown =>
    resolvePluginOptions(input, parsePluginAddress(address), parseSettings(settings));
  t.same(resolve('gauge:/dev/x'), { path: '/dev/x', interval: 10, mode: 'fast', cold: false });
  t.same(resolve('gauge:a:b', 'interval=3', 'cold=true', 'tags=one', 'mode=slow'), {
    path: 'a:b',
    interval: 3,
    mode: 'slow',
    cold: true,
    tags: ['one'],
  });
  t.match(resolve('gauge:a', 'path=b=c'), { path: 'b=c' }, 'a setting wins over the address');
  t.throws(() => resolve('gauge'), {
    code: 'invalid_option',
    message: /Option path is missing: where the gauge is/,
  });
  t.throws(() => resolve('gauge:x', 'interval=0'), {
    message: /Option interval is 0: it must be >= 1/,
  });
  t.throws(() => resolve('gauge:x', 'interval=soon'), {
    message: /Option interval is "soon": it must be integer/,
  });
  t.throws(() => resolve('gauge:x', 'mode=odd'), {
    message: /Option mode is "odd": it must be one of fast, slow/,
  });
  t.throws(() => resolve('gauge:x', 'pth=y'), {
    message: /There is no option "pth": did you mean path\?/,
  });
  t.throws(() => resolve('gauge:x', 'nonsense'), { message: /expected --set NAME=VALUE/ });
  t.throws(() => resolve('gauge:bad'), {
    message: /Address gauge:bad is not valid: expected a path/,
  });
  t.throws(() => resolvePluginOptions(output, parsePluginAddress('drain:x'), {}), {
    message: /takes nothing behind its name/,
  });
  t.end();
});

t.test('options are described with type, default, environment, secret and examples', async (t) => {
  const secretive: InputDescriptor = {
    ...input,
    name: 'two-words',
    options: {
      type: 'object',
      additionalProperties: false,
      required: ['token'],
      properties: {
        token: { type: 'string', minLength: 8, writeOnly: true, description: 'who asks' },
        hosts: {
          type: 'array',
          items: { type: 'string' },
          description: 'where to ask',
          examples: ['a,b'],
        },
        size: { type: 'string', quantity: 'bytes', default: '1MiB', description: 'how much' },
      },
    },
  };
  t.same(describeOptions(secretive), [
    {
      name: 'token',
      description: 'who asks',
      type: 'string',
      required: true,
      secret: true,
      environment: 'CHUKCHA_INPUT_TWO_WORDS_TOKEN',
    },
    {
      name: 'hosts',
      description: 'where to ask',
      type: 'list of string',
      required: false,
      secret: false,
      environment: 'CHUKCHA_INPUT_TWO_WORDS_HOSTS',
      examples: ['a,b'],
    },
    {
      name: 'size',
      description: 'how much',
      type: 'bytes',
      required: false,
      secret: false,
      environment: 'CHUKCHA_INPUT_TWO_WORDS_SIZE',
      default: '1MiB',
    },
  ]);
  t.same(
    describeOptions(input).map(({ type }) => type),
    ['string', 'integer from 1', 'one of fast, slow', 'list of string', 'boolean'],
  );

  // A secret that is not valid is not shown.
  const error = t.throws(() =>
    resolvePluginOptions(secretive, parsePluginAddress('two-words'), { token: 'hunter2' }),
  );
  t.match(String(error), /Option token is not valid: it must NOT have fewer than 8 characters/);
  t.notMatch(String(error), /hunter2/);
});

t.test('the environment gives options, and address and settings win over it', async (t) => {
  const variables = {
    CHUKCHA_INPUT_GAUGE_PATH: '/environment',
    CHUKCHA_INPUT_GAUGE_INTERVAL: '20',
    CHUKCHA_INPUT_GAUGE_MODE: '',
  };
  for (const [name, value] of Object.entries(variables)) process.env[name] = value;
  t.teardown(() => {
    for (const name of Object.keys(variables)) delete process.env[name];
  });
  const resolve = (address: string, further: Record<string, unknown>) =>
    resolvePluginOptions(input, parsePluginAddress(address), further);
  t.match(resolve('gauge', {}), { path: '/environment', interval: 20, mode: 'fast' });
  t.match(resolve('gauge:/address', {}), { path: '/address', interval: 20 });
  t.match(resolve('gauge:/address', { path: '/set', interval: 5 }), { path: '/set', interval: 5 });
});
