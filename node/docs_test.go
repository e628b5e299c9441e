package node

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// tableRow matches a row of a table in the documentation whose first cell is one name.
var tableRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|(.*)\\|(.*)\\|$")

// table returns the rows of a page between two of its texts, by their names.
func table(t *testing.T, page, from, to string) map[string][]string {
	t.Helper()
	content, err := os.ReadFile("../docs/" + page)
	require.NoError(t, err)
	_, text, found := strings.Cut(string(content), from)
	require.True(t, found, from)
	text, _, found = strings.Cut(text, to)
	require.True(t, found, to)
	rows := map[string][]string{}
	for _, cells := range tableRow.FindAllStringSubmatch(text, -1) {
		assert.NotContains(t, rows, cells[1], "stands there twice")
		rows[cells[1]] = []string{strings.TrimSpace(cells[2]), cells[3]}
	}
	return rows
}

// defaultsOf returns every key below a section, those in lists of sections with a [] behind the list, and its default as it
// is printed.
func defaultsOf(t *testing.T, section reflect.Value, key string) map[string]string {
	t.Helper()
	all := map[string]string{}
	add := func(more map[string]string) {
		for k, v := range more {
			all[k] = v
		}
	}
	names, _ := fieldsOf(section.Type())
	for i, name := range names {
		field, path := section.Field(i), join(key, name)
		if isObject(field.Type()) {
			add(defaultsOf(t, field, path))
			continue
		}
		printed, err := yaml.Marshal(nodeOf(field, false))
		require.NoError(t, err)
		all[path] = "`" + strings.TrimSpace(string(printed)) + "`"
		if empty := all[path] == "`[]`" || all[path] == "`\"\"`"; empty {
			all[path] = "–"
		}
		if field.Kind() != reflect.Slice || !isObject(field.Type().Elem()) {
			continue
		}
		element := reflect.New(field.Type().Elem()).Elem()
		if _, ok := element.Interface().(Application); ok {
			element = reflect.ValueOf(defaultApplication(1))
		}
		add(defaultsOf(t, element, path+"[]"))
	}
	return all
}

func TestEveryKeyIsDocumentedWithItsDefault(t *testing.T) {
	rows := table(t, "configuration.md", "<!-- keys -->", "<!-- end -->")
	defaults := defaultsOf(t, reflect.ValueOf(DefaultConfig()), "")
	for key, want := range defaults {
		if row, ok := rows[key]; assert.True(t, ok, "%s is not documented", key) {
			assert.Equal(t, want, row[0], "default of %s", key)
		}
	}
	for key := range rows {
		assert.Contains(t, defaults, key, "documented, but there is no such key")
	}
}

// description matches what a [prometheus.Desc] prints of itself: it tells its name and labels in no other way.
var description = regexp.MustCompile(`fqName: "([^"]*)".*constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

// metricsOf returns the metrics of a node, and the labels of each in order. Those of Go and of the process are not ours.
func metricsOf(t *testing.T) map[string][]string {
	t.Helper()
	n, err := New(DefaultConfig())
	require.NoError(t, err)
	defer func() { require.NoError(t, n.Close()) }()
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions) // awaited by the loop below
		n.metrics.registry.Describe(descriptions)
	}()
	all := map[string][]string{}
	for d := range descriptions {
		found := description.FindStringSubmatch(d.String())
		require.NotNil(t, found, d.String())
		if !strings.HasPrefix(found[1], "callengine_") {
			continue
		}
		labels := strings.FieldsFunc(found[3], func(r rune) bool { return r == ',' || r == ' ' })
		for _, constant := range strings.FieldsFunc(found[2], func(r rune) bool { return r == ',' }) {
			name, _, _ := strings.Cut(constant, "=")
			labels = append(labels, name)
		}
		slices.Sort(labels)
		all[found[1]] = labels
	}
	return all
}

// labelsInRow returns the names in a cell such as "`direction`, `reason`: `a`, `b`" in order.
func labelsInRow(cell string) []string {
	names := []string{}
	for i, part := range strings.Split(cell, "`") {
		if i%2 == 1 {
			names = append(names, part)
		} else if strings.ContainsAny(part, ":(") {
			break // what follows are values
		}
	}
	slices.Sort(names)
	return names
}

func TestEveryMetricIsDocumentedWithItsLabels(t *testing.T) {
	rows := table(t, "operating.md", "## Metrics", "\n## ")
	served := metricsOf(t)
	for name, labels := range served {
		if row, ok := rows[name]; assert.True(t, ok, "%s is not documented", name) {
			assert.Equal(t, labels, labelsInRow(row[0]), "labels of %s", name)
		}
	}
	for name := range rows {
		assert.Contains(t, served, name, "documented, but there is no such metric")
	}
}
