package render

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/json"
	sigsyaml "sigs.k8s.io/yaml"
)

// plain adds every object in the YAML and JSON files of dir, which has no kustomization, and of the directories in it.
func (b *builder) plain(dir string) error {
	entries, err := b.tree.list(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		if err := b.entry(path.Join(dir, entry.Name()), entry); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) entry(name string, entry fs.DirEntry) error {
	switch {
	case entry.IsDir():
		return b.directory(name)
	case entry.Type()&fs.ModeSymlink != 0:
		info, err := b.tree.stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist) && !isYAML(name):
			return nil
		case errors.Is(err, fs.ErrNotExist):
			return fail(PathNotFound, name, "is a symbolic link to a file that does not exist")
		case err != nil:
			return err
		case info.IsDir():
			return fail(Unsupported, name, "is a symbolic link to a directory; only a kustomization can lead there")
		}
	case entry.Type()&fs.ModeIrregular != 0: // a submodule: the tree says so when it is opened
		_, err := b.tree.read(name)
		return err
	}
	if isYAML(name) {
		return b.file(name)
	}
	return nil
}

// isYAML tells the files that hold objects by the names that kubectl goes by.
func isYAML(name string) bool {
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

func (b *builder) file(name string) error {
	content, err := b.tree.read(name)
	if err != nil {
		return err
	}
	documents, err := parse(name, content)
	if err != nil {
		return err
	}
	for _, d := range documents {
		if d.empty() {
			continue
		}
		text, err := d.json()
		if err != nil {
			return err
		}
		if err := b.object(text, d.place); err != nil {
			return err
		}
	}
	return nil
}

// json reads a document as kubectl does: YAML 1.1, through JSON.
func (d document) json() ([]byte, error) {
	if d.root.Kind != yaml.MappingNode {
		return nil, d.fail(InvalidYAML, "is not an object: want fields such as apiVersion and kind")
	}
	text, err := sigsyaml.YAMLToJSON(d.text)
	if err != nil {
		return nil, syntaxError(d.place, d.text, err)
	}
	return text, nil
}

// object adds an object that is written as JSON, or those in it if it is a list. Whole numbers become int64, as in kubectl.
func (b *builder) object(text []byte, at place) error {
	var content map[string]any
	if err := json.Unmarshal(text, &content); err != nil {
		return at.fail(InvalidYAML, "cannot be written as JSON")
	}
	return b.flatten(content, text, at)
}

// flatten adds an object, or those in it if it is a list. Items of a DeploymentList may leave out what they are.
func (b *builder) flatten(content map[string]any, text []byte, at place) error {
	kind, _ := content["kind"].(string)
	items, isList := content["items"].([]any)
	if !strings.HasSuffix(kind, "List") || !isList {
		return b.add(content, text, at)
	}
	for i, item := range items {
		object, ok := item.(map[string]any)
		if !ok {
			return at.fail(InvalidObject, "item %d of the %s is not an object", i, kind)
		}
		if itemKind := strings.TrimSuffix(kind, "List"); itemKind != "" && object["kind"] == nil {
			object["kind"], object["apiVersion"] = itemKind, content["apiVersion"]
		}
		text, err := json.Marshal(object)
		if err != nil {
			return at.fail(InvalidObject, "cannot be written as JSON")
		}
		if err := b.flatten(object, text, at); err != nil {
			return err
		}
	}
	return nil
}
