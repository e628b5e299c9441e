package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
)

// junitSuite is the report that CI systems read: the common core of what JUnit's Ant task writes.
type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitProblem `xml:"failure,omitempty"` // it went otherwise than expected
	Error   *junitProblem `xml:"error,omitempty"`   // it could not be run
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func writeJUnit(w io.Writer, results []scenario.Result, took time.Duration) error {
	suite := junitSuite{Name: "callengine replay", Tests: len(results), Time: junitTime(took)}
	for _, r := range results {
		c := junitCase{Name: r.File.Name(), Class: "callengine.replay", File: r.File.Path, Time: junitTime(r.Duration)}
		switch {
		case r.Err != nil:
			suite.Errors++
			c.Error = &junitProblem{Message: r.First()}
		case !r.OK():
			suite.Failures++
			var ladder strings.Builder
			if err := r.WriteLadder(&ladder, state.Ladder{}); err != nil {
				return err
			}
			c.Failure = &junitProblem{Message: r.First(), Text: ladder.String()}
		}
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func junitTime(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
