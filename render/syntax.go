package render

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
)

var (
	yamlMessage   = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)
	unknownAnchor = regexp.MustCompile(`unknown anchor '(.*)' referenced`)
	// fromParser are the messages whose line is one too low: go-yaml counts lines from 0 in its parser, and from 1 in
	// its scanner (yaml.parser.fail).
	fromParser = regexp.MustCompile(`did not find expected (key|node content|'-' indicator|',' or|<document start>)`)
)

// syntaxMessages are those of the YAML scanner and parser, as far as they are worth telling apart, and what is said
// instead. They are searched in this order.
var syntaxMessages = []struct{ theirs, ours string }{
	{"tab character", "found a tab where indentation is expected"},
	{"unknown anchor", "an alias has no anchor before it"},
	{"mapping values are not allowed", "found ': ' where no value can begin; check the indentation, or quote the text"},
	{"could not find expected ':'", "found a line that is not `key: value`; check the indentation"},
	{"did not find expected key", "found no key where one is expected; check the indentation"},
	{"did not find expected '-' indicator", "found no '- ' where a list goes on; check the indentation"},
	{"block sequence entries are not allowed", "found '- ' where no list can begin"},
	{"did not find expected ',' or", "a bracket or brace is not closed, or a comma is missing"},
	{"found unexpected end of stream", "a quote is not closed"},
	{"cannot start any token", "found a character that no value can begin with; quote the text"},
	{"unknown escape character", "found an unknown escape in a quoted text"},
	{"control characters", "found a control character"},
	{"undefined tag handle", "found an unknown tag"},
}

// syntaxError tells what a YAML parser says about text that begins at the given place. Parsers quote the text they
// stumble over, so that only their line and the kind of trouble are kept.
func syntaxError(at place, text []byte, err error) error {
	match := yamlMessage.FindStringSubmatch(err.Error())
	if match == nil {
		return at.fail(InvalidYAML, "is not valid YAML")
	}
	within, _ := strconv.Atoi(match[1])
	if fromParser.MatchString(match[2]) {
		within++
	}
	if anchor := unknownAnchor.FindStringSubmatch(match[2]); anchor != nil {
		before, _, _ := bytes.Cut(text, []byte("*"+anchor[1]))
		within = 1 + bytes.Count(before, []byte("\n"))
	}
	if within > 0 {
		at.line += within - 1
	}
	if indentedByTab(text, within) {
		return at.fail(InvalidYAML, "found a tab where indentation is expected")
	}
	for _, message := range syntaxMessages {
		if strings.Contains(match[2], message.theirs) {
			return at.fail(InvalidYAML, "%s", message.ours)
		}
	}
	return at.fail(InvalidYAML, "is not valid YAML")
}

// indentedByTab looks at the line itself: parsers call a tab many things.
func indentedByTab(text []byte, line int) bool {
	lines := bytes.Split(text, []byte("\n"))
	if line < 1 || line > len(lines) {
		return false
	}
	indentation := lines[line-1][:len(lines[line-1])-len(bytes.TrimLeft(lines[line-1], " \t"))]
	return bytes.ContainsRune(indentation, '\t')
}
