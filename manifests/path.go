package manifests

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// fieldPath is a [Place.Path] that has been read.
type fieldPath []step

// step leads from a value to some of those within it.
type step struct {
	kind  stepKind
	key   string // of a field; of the field that tells entries
	value string // of that field, in the entries that are meant
	index int    // of an entry
}

type stepKind int

const (
	toField   stepKind = iota // a map's value of that key
	toValues                  // every value of a map
	toEntries                 // every entry of a list
	toNamed                   // a list's entries whose field has that value
	toIndex                   // one entry of a list
)

// site is a value within an object, and how it was come to.
type site struct {
	value any
	// The rest is empty for an object itself.
	holder *site
	key    string // where holder is a map
	index  int    // where holder is a list
}

// parsePath reads what [Place.Path] describes. Its errors say what would be right.
func parsePath(text string) (fieldPath, error) {
	if text == "" {
		return nil, errors.New(`a path is missing: write one such as "spec.image"`)
	}
	if strings.ContainsAny(text[:1], "/$.{") {
		return nil, fmt.Errorf(`path %q: begin with the name of a field, as in "spec.image"`, text)
	}
	var steps fieldPath
	for rest := text; rest != ""; {
		var next step
		var err error
		if strings.HasPrefix(rest, "[") {
			next, rest, err = parseBrackets(rest)
		} else {
			next, rest, err = parseField(strings.TrimPrefix(rest, "."))
		}
		if err == nil && rest != "" && rest[0] != '.' && rest[0] != '[' {
			err = fmt.Errorf("after a bracket comes a dot, not %q", rest[:1])
		}
		if err != nil {
			return nil, fmt.Errorf("path %q: %w", text, err)
		}
		steps = append(steps, next)
	}
	if steps[0].kind != toField {
		return nil, fmt.Errorf(`path %q: begin with the name of a field, as in "spec.image"`, text)
	}
	return steps, nil
}

// parseField reads up to the next dot or bracket.
func parseField(text string) (next step, rest string, err error) {
	end := strings.IndexAny(text, ".[")
	if end < 0 {
		end = len(text)
	}
	name := text[:end]
	switch {
	case name == "":
		return step{}, "", errors.New("a field's name is missing beside a dot: take one dot away")
	case name == "*":
		return step{kind: toValues}, text[end:], nil
	case !isPlain(name):
		return step{}, "", fmt.Errorf("a key such as %q goes into brackets: [%s]", name, name)
	}
	return step{key: name}, text[end:], nil
}

// parseBrackets reads [*], [3], [name=VALUE], [key] or ["key"]; a VALUE may be quoted too.
func parseBrackets(text string) (next step, rest string, err error) {
	inside := text[1:]
	name, value, isNamed := strings.Cut(inside, "=")
	if isNamed = isNamed && isPlain(name); isNamed {
		inside = value
	}
	content, rest, quoted, err := parseBracketed(inside)
	if err != nil {
		return step{}, "", err
	}
	switch {
	case isNamed && content == "":
		return step{}, "", fmt.Errorf("[%s=] has no value: write [%s=VALUE]", name, name)
	case isNamed:
		return step{kind: toNamed, key: name, value: content}, rest, nil
	case quoted:
		return step{key: content}, rest, nil
	case content == "":
		return step{}, "", errors.New("[] is empty: write [*] for every entry of a list")
	case content == "*":
		return step{kind: toEntries}, rest, nil
	case strings.ContainsAny(content, `[*='"`):
		return step{}, "", fmt.Errorf("put the key [%s] into quotes: [%q]", content, content)
	}
	if index, err := strconv.Atoi(content); err == nil && index >= 0 && strconv.Itoa(index) == content {
		return step{kind: toIndex, index: index}, rest, nil
	}
	return step{key: content}, rest, nil
}

// parseBracketed reads up to the bracket that closes, which is not one in quotes. Double quotes are Go's.
func parseBracketed(text string) (content, rest string, quoted bool, err error) {
	unclosed := errors.New("a bracket is not closed: write ] behind what is in it, or \"] behind what is in quotes")
	end := "]"
	switch {
	case strings.HasPrefix(text, `"`):
		prefix, err := strconv.QuotedPrefix(text)
		if err != nil {
			return "", "", false, unclosed
		}
		rest, closed := strings.CutPrefix(text[len(prefix):], end)
		content, err := strconv.Unquote(prefix)
		if err != nil || !closed {
			return "", "", false, unclosed
		}
		return content, rest, true, nil
	case strings.HasPrefix(text, "'"):
		end, text, quoted = "']", text[1:], true
	}
	content, rest, closed := strings.Cut(text, end)
	if !closed {
		return "", "", false, unclosed
	}
	return content, rest, quoted, nil
}

// isPlain tells names that need no brackets.
func isPlain(name string) bool {
	for _, r := range name {
		if r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return false
		}
	}
	return name != ""
}

// walk calls visit for everything that the path leads to from at, in order. What is missing or of another type leads
// nowhere.
func (p fieldPath) walk(at *site, visit func(*site)) {
	if len(p) == 0 {
		visit(at)
		return
	}
	next, rest := p[0], p[1:]
	if holder, ok := at.value.(map[string]any); ok {
		switch value, there := holder[next.key]; {
		case next.kind == toField && there:
			rest.walk(&site{value: value, holder: at, key: next.key}, visit)
		case next.kind == toValues:
			for _, key := range slices.Sorted(maps.Keys(holder)) {
				rest.walk(&site{value: holder[key], holder: at, key: key}, visit)
			}
		}
		return
	}
	list, _ := at.value.([]any)
	for i, entry := range list {
		if next.means(i, entry) {
			rest.walk(&site{value: entry, holder: at, index: i}, visit)
		}
	}
}

// means tells whether a step leads to an entry of a list.
func (s step) means(index int, entry any) bool {
	switch s.kind {
	case toEntries:
		return true
	case toIndex:
		return index == s.index
	case toNamed:
		return textAt(entry, s.key) == s.value
	}
	return false
}

// replace puts another value in the place of the site's.
func (at *site) replace(value any) {
	switch holder := at.holder.value.(type) {
	case map[string]any:
		holder[at.key] = value
	case []any:
		holder[at.index] = value
	}
}

// exact is the path of the site, which no other site of the object has.
func (at *site) exact() string { return at.path(func(s *site) string { return strconv.Itoa(s.index) }) }

// readable is the path of the site with entries told by their names, where they have one. Two sites have the same one
// where entries have the same name.
func (at *site) readable() string {
	return at.path(func(s *site) string {
		if name := textAt(s.value, "name"); isPlain(name) {
			return "name=" + name
		}
		return strconv.Itoa(s.index)
	})
}

// path is what [parsePath] reads, with entries of lists as entry writes them.
func (at *site) path(entry func(*site) string) string {
	if at.holder == nil {
		return ""
	}
	before := at.holder.path(entry)
	if _, inList := at.holder.value.([]any); inList {
		return before + "[" + entry(at) + "]"
	}
	switch {
	case isPlain(at.key) && before == "":
		return at.key
	case isPlain(at.key):
		return before + "." + at.key
	}
	return before + "[" + bracketed(at.key) + "]"
}

// bracketed is a key as it is written in brackets.
func bracketed(key string) string {
	_, err := strconv.Atoi(key)
	if plain := strconv.Quote(key); key == "" || err == nil || plain != `"`+key+`"` || strings.ContainsAny(key, "[]*='") {
		return plain
	}
	return key
}

// textAt is a map's value of that key; "" where there is no such text.
func textAt(holder any, key string) string {
	fields, _ := holder.(map[string]any)
	text, _ := fields[key].(string)
	return text
}
