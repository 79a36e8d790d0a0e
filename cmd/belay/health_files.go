package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	wholejson "k8s.io/apimachinery/pkg/util/json"
	yamlstream "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
	"github.com/belay-gitops/belay/sync/health"
)

// readObject is an object of a file, or why there is none.
type readObject struct {
	file    string
	content map[string]any
	err     error
}

// objectReader reads objects from files.
type objectReader struct{ stdin io.Reader }

// read reads the objects of files and directories, in their order; only that none is named is an error.
func (r objectReader) read(names []string) (found []readObject, err error) {
	if len(names) == 0 {
		return nil, errors.New("name a file with objects: belay health -f FILE, or - for standard input")
	}
	for _, name := range names {
		if name == "-" {
			found = append(found, objectsFrom(name, r.stdin)...)
			continue
		}
		files, err := filesBelow(name)
		if err != nil {
			found = append(found, readObject{file: name, err: err})
		}
		for _, file := range files {
			found = append(found, objectsIn(file)...)
		}
	}
	return found, nil
}

// filesBelow is the file itself, or the files with objects in a directory, by name.
func filesBelow(name string) (files []string, err error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{name}, nil
	}
	err = filepath.WalkDir(name, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
			files = append(files, path)
		}
		return err
	})
	return files, err
}

func objectsIn(file string) []readObject {
	opened, err := os.Open(file)
	if err != nil {
		return []readObject{{file: file, err: err}}
	}
	defer opened.Close()
	return objectsFrom(file, opened)
}

// objectsFrom reads the objects of a stream, with those of Lists one by one. It ends at what is no YAML.
func objectsFrom(file string, stream io.Reader) (found []readObject) {
	decoder := yamlstream.NewYAMLOrJSONDecoder(bufio.NewReader(stream), 1<<12)
	for {
		var text json.RawMessage
		err := decoder.Decode(&text)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return append(found, readObject{file: file, err: fmt.Errorf("it is no YAML and no JSON: %w", err)})
		}
		if len(text) == 0 || string(text) == "null" {
			continue
		}
		found = append(found, objectsOfDocument(file, text)...)
	}
	if len(found) == 0 {
		found = append(found, readObject{file: file, err: errors.New("there is no object in it")})
	}
	return found
}

func objectsOfDocument(file string, text []byte) []readObject {
	var value any
	if err := wholejson.Unmarshal(text, &value); err != nil {
		return []readObject{{file: file, err: err}}
	}
	content, ok := wholeNumbers(value).(map[string]any)
	if !ok {
		return []readObject{{file: file, err: errors.New("it holds a value that is no object")}}
	}
	kind, _ := content["kind"].(string)
	if items, ok := content["items"].([]any); ok && strings.HasSuffix(kind, "List") {
		var found []readObject
		for i, item := range items {
			found = append(found, objectOf(file, item, fmt.Sprintf("items[%d]", i)))
		}
		return found
	}
	return []readObject{objectOf(file, content, "the object")}
}

// objectOf checks that a value is an object that can be told from others.
func objectOf(file string, value any, what string) readObject {
	content, ok := value.(map[string]any)
	if !ok {
		return readObject{file: file, err: fmt.Errorf("%s is no object", what)}
	}
	for _, field := range []string{"apiVersion", "kind"} {
		if text, _ := content[field].(string); text == "" {
			return readObject{file: file, err: fmt.Errorf("%s has no %s", what, field)}
		}
	}
	return readObject{file: file, content: content}
}

// wholeNumbers makes integers of numbers like 1.0, which is what the API server does for fields that hold integers.
func wholeNumbers(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, content := range value {
			value[key] = wholeNumbers(content)
		}
	case []any:
		for i, content := range value {
			value[i] = wholeNumbers(content)
		}
	case float64:
		if whole := math.Trunc(value); whole == value && math.Abs(value) < 1<<53 {
			return int64(value)
		}
	}
	return value
}

// rulesOf are the expressions for health in a file with a Sync; none where no file is named.
func rulesOf(file string) (health.Rules, error) {
	if file == "" {
		return health.Rules{}, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return health.Rules{}, fmt.Errorf("reading the Sync: %w", err)
	}
	var sync v1alpha1.Sync
	if err := yaml.UnmarshalStrict(text, &sync); err != nil {
		return health.Rules{}, fmt.Errorf("reading the Sync in %s: %w", file, err)
	}
	if sync.Kind != "Sync" {
		return health.Rules{}, fmt.Errorf("%s holds no Sync, but a %q", file, sync.Kind)
	}
	expressions := make([]health.Expression, len(sync.Spec.Health.Expressions))
	for i, e := range sync.Spec.Health.Expressions {
		expressions[i] = health.Expression(e)
	}
	rules, err := health.Compile(expressions)
	if err != nil {
		return health.Rules{}, fmt.Errorf("%s: spec.health.%w", file, err)
	}
	return rules, nil
}
