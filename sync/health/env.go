package health

import (
	"fmt"
	"strings"
	gosync "sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// expression is a compiled CEL expression over an object.
type expression struct{ program cel.Program }

// costLimit bounds what evaluating one expression may cost, in CEL's units: some 10 ms.
const costLimit = 1_000_000

// environment is what expressions see: the object, its top-level fields under their own names, and
//
//	condition('Ready')    the type, status, reason and message of a condition, each a text, empty where there is none
//	text('status.phase')  a field as a text, empty where there is none
//	number('status.n')    a field as an integer, 0 where there is none
var environment = gosync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.OptionalTypes(), cel.CrossTypeNumericComparisons(true), ext.Strings(), ext.Lists(), ext.Sets(),
		cel.Variable("object", cel.DynType), cel.Variable("metadata", cel.DynType), cel.Variable("spec", cel.DynType),
		cel.Variable("status", cel.DynType), cel.Variable("data", cel.DynType),
		cel.Variable("apiVersion", cel.StringType), cel.Variable("kind", cel.StringType),
		member("condition", cel.MapType(cel.StringType, cel.StringType), func(object map[string]any, name string) ref.Val {
			return types.DefaultTypeAdapter.NativeToValue(conditionOf(object, name))
		}),
		member("text", cel.StringType, func(object map[string]any, path string) ref.Val {
			return types.String(textOf(object, path))
		}),
		member("number", cel.IntType, func(object map[string]any, path string) ref.Val {
			return types.Int(numberOf(object, path))
		}),
		cel.Macros(ofObject("condition"), ofObject("text"), ofObject("number")),
	)
})

// member declares object.name('…').
func member(name string, result *cel.Type, of func(object map[string]any, argument string) ref.Val) cel.EnvOption {
	return cel.Function(name, cel.MemberOverload("object_"+name, []*cel.Type{cel.DynType, cel.StringType}, result,
		cel.BinaryBinding(func(object, argument ref.Val) ref.Val {
			content, ok := object.Value().(map[string]any)
			if !ok {
				return types.NewErr("%s is a function of the object", name)
			}
			return of(content, fmt.Sprint(argument.Value()))
		})))
}

// ofObject lets name('…') stand for object.name('…').
func ofObject(name string) cel.Macro {
	return cel.GlobalMacro(name, 1, func(eh cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
		return eh.NewMemberCall(name, eh.NewIdent("object"), args[0]), nil
	})
}

// compile reads an expression that answers a value of a type.
func compile(text string, result *cel.Type) (expression, error) {
	env, err := environment()
	if err != nil {
		return expression{}, err
	}
	checked, issues := env.Compile(text)
	if err := issues.Err(); err != nil {
		return expression{}, err
	}
	if got := checked.OutputType(); !got.IsExactType(result) && !got.IsExactType(cel.DynType) {
		return expression{}, fmt.Errorf("it gives a %s, and should give a %s", got, result)
	}
	program, err := env.Program(checked, cel.CostLimit(costLimit))
	return expression{program}, err
}

// variables are what an object is to expressions.
func variables(u *unstructured.Unstructured) map[string]any {
	vars := map[string]any{"object": u.Object, "apiVersion": u.GetAPIVersion(), "kind": u.GetKind()}
	for _, field := range []string{"metadata", "spec", "status", "data"} {
		vars[field] = map[string]any{}
		if content, ok := u.Object[field]; ok && content != nil {
			vars[field] = content
		}
	}
	return vars
}

// holds tells whether an expression is true. One that reads a field which is not there is not.
func (e expression) holds(vars map[string]any) bool {
	value, _, err := e.program.Eval(vars)
	return err == nil && value == types.True
}

// text is what an expression gives, as a text; empty where it gives none.
func (e expression) text(vars map[string]any) string {
	value, _, err := e.program.Eval(vars)
	if err != nil {
		return ""
	}
	text, _ := value.Value().(string)
	return strings.TrimSpace(text)
}
