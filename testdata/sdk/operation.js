// One operation of the published SDK: node operation.js BASE USERNAME PASSWORD OPERATION ARGUMENTS, which are a JSON array.
// Prints what came of it as a line of JSON.
'use strict';

const { CallsApi, Configuration } = require('bandwidth-sdk');

const [basePath, username, password, operation, args] = process.argv.slice(2);
const calls = new CallsApi(new Configuration({ basePath, username, password }));

function told({ status, data, headers }) {
  console.log(JSON.stringify({ status, data, link: headers.link }));
}

calls[operation](...JSON.parse(args)).then(told, (error) => {
  if (!error.response) throw error; // not an answer of the server: the exit status tells
  told(error.response);
});
