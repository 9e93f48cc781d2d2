import { describe, expect, it } from 'vitest';
import { configOf, draftOf, elsewhere, wrongWith, type FormField } from './schema-form';

const field = (name: string, type: FormField['type'], more: Partial<FormField> = {}): FormField => ({
  name,
  label: name,
  help: '',
  type,
  required: false,
  default: '',
  placeholder: '',
  advanced: false,
  made: false,
  choices: [],
  keys: [],
  values: [],
  least: null,
  most: null,
  ...more,
});
const FIELDS = [
  field('host', 'text', { required: true, default: null }),
  field('port', 'number', { default: 587 }),
  field('password', 'secret'),
  field('to', 'list', { required: true, default: null }),
  field('signed', 'toggle', { default: null }),
  field('loud', 'toggle', { default: false }),
  field('mapping', 'map', { default: {} }),
];

describe('a form drawn from fields', () => {
  it('shows the defaults of a new thing and sends them back as they were', () => {
    const draft = draftOf(FIELDS);
    expect(draft.values).toEqual({ host: '', port: '587', password: '', to: '', signed: '', loud: false, mapping: [] });
    expect(configOf(FIELDS, draft)).toEqual({ port: 587, to: [], signed: null, loud: false, mapping: {} });
  });

  it('brings a config through the form unchanged, and keeps the secret by leaving it out', () => {
    const config = { host: 'h', port: 25, to: ['a@b', 'c@d'], signed: false, loud: true, mapping: { title: 'x.y' } };
    expect(configOf(FIELDS, draftOf(FIELDS, config))).toEqual(config);
  });

  it('sends a new secret, and takes one away only when asked to', () => {
    const draft = draftOf(FIELDS);
    draft.values.password = ' new ';
    expect(configOf(FIELDS, draft).password).toBe('new');
    draft.values.password = '';
    draft.removed = ['password'];
    expect(configOf(FIELDS, draft).password).toBe('');
  });

  it('leaves what is no number to the appliance to judge', () => {
    const draft = draftOf(FIELDS);
    draft.values.port = 'many';
    expect(configOf(FIELDS, draft).port).toBe('many');
    draft.values.port = '';
    expect(configOf(FIELDS, draft).port).toBe(587);
  });

  it('drops lines of a map without a name', () => {
    const draft = draftOf(FIELDS);
    draft.values.mapping = [
      ['', 'x'],
      [' title ', 'a.b'],
    ];
    expect(configOf(FIELDS, draft).mapping).toEqual({ title: 'a.b' });
  });

  it('finds the words for a field, for what lies in it, and those that belong to none', () => {
    const fault = {
      errors: [
        { path: 'config.to.1', message: 'must be an address' },
        { path: 'config.host', message: 'is needed' },
        { path: 'config.hostile', message: 'no such setting' },
        { path: 'name', message: 'is taken' },
      ],
    };
    expect(wrongWith(fault, 'config.', 'to')).toBe('1: must be an address');
    expect(wrongWith(fault, 'config.', 'host')).toBe('is needed');
    expect(wrongWith(null, 'config.', 'host')).toBe('');
    expect(elsewhere(fault, 'config.', FIELDS, ['name'])).toEqual(['config.hostile: no such setting']);
  });
});
