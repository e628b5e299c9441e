// The published SDK at work: node sdk.js BASE USERNAME PASSWORD. Each line of its input is a JSON array, the name of one of the
// SDK's classes, an operation of it, and its arguments; each line of its output is what came of one. The first line of output
// lists the operations that there are.
'use strict';

const readline = require('node:readline');
const sdk = require('bandwidth-sdk');

const [basePath, username, password] = process.argv.slice(2);
const configuration = new sdk.Configuration({ basePath, username, password });
const classes = ['CallsApi', 'ConferencesApi', 'EndpointsApi', 'RecordingsApi', 'StatisticsApi', 'TranscriptionsApi'];

function say(value) {
  console.log(JSON.stringify(value));
}

// What is not JSON is told in base64.
function told({ status, data, headers }) {
  const json = (headers['content-type'] || '').startsWith('application/json');
  if (json && data instanceof Uint8Array) data = JSON.parse(Buffer.from(data)); // of a download that failed
  say({
    status,
    data: json ? data : undefined,
    bytes: json ? undefined : Buffer.from(data, 'binary').toString('base64'),
    type: headers['content-type'],
    link: headers.link,
  });
}

const operations = (name) => Object.getOwnPropertyNames(sdk[name].prototype).filter((operation) => operation !== 'constructor');
say(classes.flatMap((name) => operations(name).map((operation) => `${name}.${operation}`)));

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const [name, operation, args] = JSON.parse(line);
  // null stands for an argument that is left out.
  const given = args.map((value) => (value === null ? undefined : value));
  const expected = sdk[name].prototype[operation].length - 1; // the last ones are options
  while (given.length < expected) given.push(undefined);
  if (operation.startsWith('download')) given.push({ responseType: 'arraybuffer' });
  new sdk[name](configuration)[operation](...given).then(told, (error) => {
    if (!error.response) throw error; // not an answer of the server: the exit status tells
    told(error.response);
  });
});
