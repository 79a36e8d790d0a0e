package render

import (
	"fmt"
	"regexp"
	"strings"
)

// safeName matches what objects and their kinds are called, and nothing longer: an error must not carry a value.
const safeName = `([\w.~/\[\]-]{1,300})`

// explanations are the errors of kustomize that are worth telling apart, and what is said instead, with the name that
// the pattern caught, if it has one.
var explanations = []struct {
	theirs *regexp.Regexp
	ours   string
}{
	{regexp.MustCompile(`no resource matches strategic merge patch "` + safeName + `"`), "there is no resource for the patch of %s"},
	{regexp.MustCompile(`no matches for Id ` + safeName + `;`), "there is no resource for the patch of %s"},
	{regexp.MustCompile(`unable to find patch target`), "there is no resource for the target of a patch"},
	{regexp.MustCompile(`unable to parse SM or JSON patch`), "a patch is neither a strategic merge patch nor a list of JSON patch operations"},
	{regexp.MustCompile(`patch and path can't be set|must specify one of patch and path`), "an entry of patches wants either patch or path"},
	{regexp.MustCompile(`must specify a target for JSON patch`), "a JSON patch wants a target"},
	{regexp.MustCompile(`is not allowed to set .patches.target`), "a patch of several documents cannot have a target"},
	{regexp.MustCompile(`operation does not apply|error in \w+ for path|doc is missing`), "a JSON patch does not fit the object it is for"},
	{regexp.MustCompile(`invalid literal source`), "a literal of a generator is not key=value"},
	{regexp.MustCompile(`missing key name for|missing file path for|key name or file path contains`), "an entry of a generator's files is not file or key=file"},
	{regexp.MustCompile(`illegally repeats the key`), "a generator has the same key twice"},
	{regexp.MustCompile(`must have a name`), "a generator has no name"},
	{regexp.MustCompile(`cannot merge or replace`), "a generator is to merge or replace what does not exist"},
	{regexp.MustCompile(`behavior must be merge or replace`), "a generator makes an object that exists already: set its behavior"},
	{regexp.MustCompile(`nothing selected by|is missing for replacement source|multiple matches for`), "the source of a replacement does not exist, or exists twice"},
	{regexp.MustCompile(`unable to find field`), "the field of a replacement's target does not exist: set options.create"},
	{regexp.MustCompile(`cannot be mapped to a field`), "the object of a var does not exist"},
	{regexp.MustCompile(`resource with name ` + safeName + ` does not match a config`), "there is no workload %s for an entry of replicas"},
	{regexp.MustCompile(`OpenAPI version is not built in`), "the version in openapi is not one that kustomize has"},
	{regexp.MustCompile(`field 'sortOptions`), "sortOptions is wrong: want order fifo or legacy"},
	{regexp.MustCompile(`error unmarshaling JSON`), "a file under configurations, crds or openapi is not what kustomize expects there"},
	{regexp.MustCompile(`cycle detected`), "a kustomization includes itself"},
	{regexp.MustCompile(`is ambiguous: resolves to`), "a path has '..' inside a name; check the indentation of the list"},
	{regexp.MustCompile(`expected kind 'Component'`), "an entry of components leads to a kustomization that is no Component"},
	{regexp.MustCompile(`expected kind != 'Component'`), "an entry of resources leads to a Component: list it under components"},
	{regexp.MustCompile(`kind should be|apiVersion for .* should be`), "a kustomization has a wrong kind or apiVersion: leave them out"},
	{regexp.MustCompile(`missing metadata.name|missing Resource metadata`), "an object has no metadata.name"},
}

var registered = regexp.MustCompile(`already registered id: (\w+)[\w.\[\]-]*/([\w.:-]+)\.\[?[\w-]+\]?`)

// explain puts an error of kustomize in words that are safe to show.
func (f *filesystem) explain(err error) error {
	if ours, ok := err.(*Error); ok {
		return ours
	}
	text := err.Error()
	if match := registered.FindStringSubmatch(text); match != nil {
		return f.twice(match[1], match[2])
	}
	for _, e := range explanations {
		if match := e.theirs.FindStringSubmatch(text); match != nil {
			detail := e.ours
			if strings.Contains(detail, "%s") {
				detail = fmt.Sprintf(detail, match[1])
			}
			return fail(InvalidKustomization, f.start, "%s", detail)
		}
	}
	return fail(InvalidKustomization, f.start, "kustomize cannot build it; run `kustomize build %s` to see why", f.dir)
}

// twice names the files that an object was read from, where kustomize names only one.
func (f *filesystem) twice(kind, name string) error {
	var files []string
	for _, at := range f.objects[kind+"/"+name] {
		files = append(files, fmt.Sprintf("%s:%d", at.file, at.line))
	}
	switch len(files) {
	case 0:
		return fail(DuplicateObject, f.start, "%s/%s is defined twice: keep one", kind, name)
	case 1:
		return fail(DuplicateObject, f.start, "%s/%s in %s is included twice", kind, name, files[0])
	}
	return fail(DuplicateObject, f.start, "%s/%s is defined twice, in %s: keep one", kind, name, strings.Join(files, " and in "))
}
