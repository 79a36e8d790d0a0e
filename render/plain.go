package render

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"strings"
)

// plain adds every object in the YAML and JSON files of dir, which has no kustomization, and of the directories in it.
func (b *builder) plain(dir string) error {
	entries, err := b.tree.list(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if isHidden(entry) {
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

func isHidden(entry fs.DirEntry) bool { return strings.HasPrefix(entry.Name(), ".") }

// isObjects tells the files that a directory without a kustomization is built from.
func isObjects(entry fs.DirEntry) bool { return isYAML(entry.Name()) && !isHidden(entry) }

// isYAML tells the files that hold objects by the names that kubectl goes by.
func isYAML(name string) bool {
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// file adds the objects of a plain file.
func (b *builder) file(name string) error {
	known, err := b.tree.known(name)
	if err != nil {
		return err
	}
	for _, k := range known {
		if err := b.count(k.ID, k.Bytes, place{name, k.Line}); err != nil {
			return err
		}
	}
	if len(known) > 0 {
		return b.made.parsed(name, 0)
	}
	before := len(b.files)
	if err := b.parse(name); err != nil {
		return err
	}
	return b.made.parsed(name, len(b.files)-before)
}

func (b *builder) parse(name string) error {
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
		content, text, err := d.decode()
		if err != nil {
			return err
		}
		if err := b.flatten(content, text, d.place); err != nil {
			return err
		}
	}
	return nil
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
