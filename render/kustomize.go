package render

import (
	"cmp"
	"path"
	gosync "sync"

	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/openapi"
)

// kustomize adds what the kustomization in dir makes.
func (b *builder) kustomize(dir string) error {
	files := newFilesystem(b.tree, dir)
	resources, err := run(files, dir)
	if files.err != nil { // which kustomize may not have cared about
		return files.err
	}
	if err != nil {
		return files.explain(err)
	}
	for _, r := range resources.Resources() {
		if err := b.resource(dir, r, files.keepOrigins); err != nil {
			return err
		}
	}
	return nil
}

// schema guards the OpenAPI schema, which kustomize keeps in variables of its packages. It parses its own once and then
// has it for all builds, for as long as none sets another one: its Run puts neither back.
var schema gosync.Mutex

// run turns a panic, of which kustomize has some for odd input, into an error.
func run(files *filesystem, dir string) (resources resmap.ResMap, err error) {
	schema.Lock()
	defer schema.Unlock()
	defer func() {
		crashed := recover() != nil
		if crashed {
			err = fail(Crashed, dir, "kustomize crashed on it")
		}
		if crashed || files.setsSchema {
			openapi.ResetOpenAPI()
		}
	}()
	options := krusty.MakeDefaultOptions()
	// A base may be anywhere in the tree, and the file system has nothing else.
	options.LoadRestrictions = types.LoadRestrictionsNone
	return krusty.MakeKustomizer(options).Run(files, absolute(dir))
}

func (b *builder) resource(dir string, r *resource.Resource, keepOrigin bool) error {
	at := place{file: dir}
	if origin, err := r.GetOrigin(); err == nil && origin != nil {
		// ConfiguredIn is the kustomization that generates the object, Path the file that holds it.
		at.file = path.Join(dir, cmp.Or(origin.Path, origin.ConfiguredIn))
	}
	if !keepOrigin {
		if err := r.SetOrigin(nil); err != nil {
			return at.fail(InvalidObject, "its annotations cannot be written")
		}
	}
	text, err := r.MarshalJSON()
	if err != nil {
		return at.fail(InvalidObject, "cannot be written as JSON")
	}
	var content map[string]any
	if err := json.Unmarshal(text, &content); err != nil {
		return at.fail(InvalidObject, "cannot be written as JSON")
	}
	return b.add(content, text, at)
}
