package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// onlyDocument reads the one document of a file.
func onlyDocument(content []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(content))
	var document, further yaml.Node
	if err := d.Decode(&document); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		return nil, err
	}
	switch err := d.Decode(&further); {
	case err == nil:
		return nil, fmt.Errorf("yaml: line %d: a second document; there may be only one", further.Line)
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	if len(document.Content) == 0 {
		return nil, errors.New("it is empty")
	}
	return document.Content[0], nil
}

var (
	// yamlLine finds the line in a message of the YAML parser.
	yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
	// fromParser are the messages for which the library counts lines from 0, and tells where the thing begins in which
	// the fault is. The others come from its scanner, and tell the line of the fault itself.
	fromParser = regexp.MustCompile(`^did not find expected (?:node content|'-' indicator|key|',' or|<document start>)`)
)

// notYAML tells where a text is no YAML, and what may have been meant: the parser's words alone help few.
func notYAML(path string, err error) *FileError {
	e := &FileError{File: path, Reason: err.Error()}
	if found := yamlLine.FindStringSubmatch(e.Reason); found != nil {
		e.Line, _ = strconv.Atoi(found[1]) // 0: it has none
		e.Reason = strings.TrimPrefix(e.Reason, found[0])
		if fromParser.MatchString(e.Reason) {
			e.Line++
		}
		e.Column = min(e.Line, 1)
	}
	for start, hint := range map[string]string{
		"did not find expected ',' or": " in the brackets here; a text in them that holds , { } [ ] or begins with ? wants quotes",
		"did not find expected key":    " among the keys here; they must be indented alike",
		"did not find expected '-'":    " in the list here; its items must be indented alike",
		"found character that cannot":  "; lines are indented by spaces, not tabs, and a text that begins with @, % or ` wants quotes",
		"mapping values are not":       "; a text with a colon and a space in it wants quotes",
	} {
		if strings.HasPrefix(e.Reason, start) {
			e.Reason += hint
			break
		}
	}
	e.Reason = "is not YAML: " + e.Reason
	return e
}
