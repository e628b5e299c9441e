package node

import (
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// maskedSecret stands for what is not printed.
const maskedSecret = "***"

// userInfo matches the user information of a URL (RFC 3986 section 3.2.1): all of it may be a secret.
var userInfo = regexp.MustCompile(`(://)[^/?#\s]*@`)

// WriteYAML prints the configuration as a file that [LoadConfig] takes, with every key in it. Passwords and the user
// information of URLs are masked.
func (c Config) WriteYAML(w io.Writer) error {
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(nodeOf(reflect.ValueOf(c), false)); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return e.Close()
}

// nodeOf is the inverse of the decoder.
func nodeOf(v reflect.Value, secret bool) *yaml.Node {
	switch {
	case isObject(v.Type()):
		n := &yaml.Node{Kind: yaml.MappingNode}
		for i := range v.NumField() {
			tag := v.Type().Field(i).Tag
			n.Content = append(n.Content, text(tag.Get("yaml")), nodeOf(v.Field(i), tag.Get("secret") != ""))
		}
		return n
	case v.Kind() == reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		if v.Len() == 0 || !isObject(v.Type().Elem()) {
			n.Style = yaml.FlowStyle
		}
		for i := range v.Len() {
			n.Content = append(n.Content, nodeOf(v.Index(i), secret))
		}
		return n
	}
	switch value := v.Interface().(type) {
	case string:
		if secret && value != "" {
			value = maskedSecret
		}
		return text(userInfo.ReplaceAllString(value, "${1}"+maskedSecret+"@"))
	case int:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(value)}
	case float64:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.FormatFloat(value, 'g', -1, 64)}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(value)}
	case time.Duration:
		return text(formatDuration(value))
	case fmt.Stringer:
		return text(value.String())
	default:
		panic(fmt.Sprintf("no way to print a %T", value))
	}
}

func text(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}
