'use strict';

// ReDoc knows no dark colours of its own. They are chosen once, when the page is drawn.
const dark = window.matchMedia('(prefers-color-scheme: dark)').matches;
const theme = dark
  ? {
      colors: {
        primary: { main: '#6cb2ff' },
        text: { primary: '#e4e6e6', secondary: '#a9b1b4' },
        border: { dark: 'rgba(255, 255, 255, 0.15)', light: 'rgba(255, 255, 255, 0.08)' },
        gray: { 50: '#262b2d', 100: '#33393c' },
        success: { main: '#5dc98a' },
        error: { main: '#ff8b80' },
        warning: { main: '#e0b14a', contrastText: '#1c2022' },
        responses: {
          success: { color: '#5dc98a', backgroundColor: 'rgba(93, 201, 138, 0.12)' },
          error: { color: '#ff8b80', backgroundColor: 'rgba(255, 139, 128, 0.12)' },
        },
      },
      schema: { nestedBackground: '#262b2d', linesColor: '#5d6a70', labelsTextSize: '0.9em' },
      sidebar: { backgroundColor: '#23282a', textColor: '#e4e6e6' },
      rightPanel: { backgroundColor: '#14181a' },
      codeBlock: { backgroundColor: '#0e1112' },
      typography: { code: { color: '#ffb4a8', backgroundColor: 'rgba(255, 255, 255, 0.08)' } },
    }
  : {};

const options = { theme, hideDownloadButton: false, expandResponses: '200,201', sortRequiredPropsFirst: true };
window.Redoc.init('/openapi.json', options, document.getElementById('api'));
