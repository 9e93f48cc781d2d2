import svelte from 'eslint-plugin-svelte';
import globals from 'globals';
import { defineConfig, globalIgnores } from 'eslint/config';
import ts from 'typescript-eslint';
import svelteConfig from './svelte.config.js';

export default defineConfig(
  globalIgnores(['node_modules/', 'src/api/schema.d.ts']),
  ts.configs.strict,
  svelte.configs.recommended,
  {
    languageOptions: { globals: globals.browser },
    rules: {
      eqeqeq: 'error',
      'no-console': ['error', { allow: ['error'] }],
      // An index that a loop has just bounded.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // The compiler finds what is not defined, and knows types too.
      'no-undef': 'off',
      // With noUncheckedIndexedAccess it is how one says that an index was looked at.
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: ts.parser, extraFileExtensions: ['.svelte'], svelteConfig } },
    rules: {
      // The policy of the pages lets no style attribute through that is written as text; `style:width={…}` is fine.
      'no-restricted-syntax': [
        'error',
        { selector: "SvelteAttribute[key.name='style']", message: 'Write style:name={…}, or a class.' },
      ],
      'svelte/button-has-type': 'error',
      'svelte/no-target-blank': 'error',
    },
  },
  { files: ['*.ts', '*.js'], languageOptions: { globals: globals.node } },
);
