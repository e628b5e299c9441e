// Package node puts a node together: it reads the configuration, joins the rooms that do not know each other with small
// adapters, starts what has to run in the right order, drains, and closes.
package node
