package scenario

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Schema returns the JSON Schema (draft 2020-12) of scenario files, for editors. It is made from the types that files are
// read into, and so cannot say anything else than [Parse] does; what it does not know are rules over several keys.
func Schema() []byte {
	s := &schema{defs: map[string]any{}}
	root := s.of(typeOf[spec]())
	out := map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   "callengine scenario",
		"$ref":    root["$ref"],
		"$defs":   s.defs,
	}
	b, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("the schema is made of maps: %v", err))
	}
	return append(b, '\n')
}

// schema collects the definitions of a schema.
type schema struct{ defs map[string]any }

// shared puts a definition aside and returns a reference to it.
func (s *schema) shared(name string, make func() map[string]any) map[string]any {
	if _, ok := s.defs[name]; !ok {
		s.defs[name] = nil // it may refer to itself
		s.defs[name] = make()
	}
	return map[string]any{"$ref": "#/$defs/" + name}
}

// of returns the schema of one of the types of the format.
func (s *schema) of(t reflect.Type) map[string]any {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if own, ok := reflect.New(t).Interface().(shaped); ok {
		return own.schema(s)
	}
	switch {
	case t == typeOf[time.Duration]():
		return map[string]any{"anyOf": []any{
			map[string]any{"type": "string", "pattern": `^([0-9.]+(ns|us|µs|ms|s|m|h))+$`}, map[string]any{"const": 0},
		}}
	case t.Kind() == reflect.Struct:
		return s.shared(t.Name(), func() map[string]any { return s.object(t) })
	case t.Kind() == reflect.Slice:
		items := s.of(t.Elem())
		return map[string]any{"anyOf": []any{map[string]any{"type": "array", "items": items}, items}}
	case t.Kind() == reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.orNothing(t.Elem())}
	case t.Kind() == reflect.Bool:
		return map[string]any{"type": "boolean"}
	case t.Kind() == reflect.Int:
		return map[string]any{"type": "integer"}
	}
	return map[string]any{"type": []string{"string", "number", "boolean"}}
}

// orNothing is the schema of what a table holds: a name alone is enough for an object.
func (s *schema) orNothing(t reflect.Type) map[string]any {
	if _, ok := reflect.New(t).Interface().(shaped); ok || t.Kind() != reflect.Struct {
		return s.of(t)
	}
	return map[string]any{"anyOf": []any{s.of(t), map[string]any{"type": "null"}}}
}

func (s *schema) object(t reflect.Type) map[string]any {
	fields := fieldsOf(t)
	members, bare := map[string]any{}, []string{}
	var required []string
	var one []any
	for _, f := range fields {
		m := s.member(t.Field(f.index).Type, f)
		members[f.name] = m
		if f.tag.Get("required") != "" {
			required = append(required, f.name)
		}
		if f.action != "" {
			one = append(one, map[string]any{"required": []string{f.name}})
		}
		if f.action == "bare" {
			bare = append(bare, f.name)
		}
	}
	out := map[string]any{"type": "object", "properties": members, "additionalProperties": false}
	if required != nil {
		out["required"] = required
	}
	if one != nil {
		out["oneOf"] = one
	}
	forms := []any{out}
	if len(bare) > 0 {
		forms = append(forms, map[string]any{"enum": bare})
	}
	if scalar, ok := reflect.New(t).Interface().(abbreviated); ok {
		forms = append(forms, scalar.scalarSchema(s))
	}
	if len(forms) == 1 {
		return out
	}
	return map[string]any{"anyOf": forms}
}

// member is the schema of a key, with what its field's tags say.
func (s *schema) member(t reflect.Type, f field) map[string]any {
	m := s.of(t)
	if allowed := f.tag.Get("enum"); allowed != "" {
		one := map[string]any{"enum": strings.Split(allowed, ",")}
		if m = one; t.Kind() == reflect.Slice {
			m = map[string]any{"anyOf": []any{map[string]any{"type": "array", "items": one}, one}}
		}
	}
	if least := f.tag.Get("min"); least != "" {
		low, _ := strconv.Atoi(least)
		high, _ := strconv.Atoi(f.tag.Get("max"))
		m = map[string]any{"type": "integer", "minimum": low, "maximum": high}
	}
	if f.action == "bare" {
		m = map[string]any{"anyOf": []any{m, map[string]any{"type": "null"}}}
	}
	described := map[string]any{"description": f.tag.Get("doc")}
	for key, value := range m {
		if key != "description" {
			described[key] = value
		}
	}
	return described
}
