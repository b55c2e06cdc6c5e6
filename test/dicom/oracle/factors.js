// Reads a list of series (each a list of instances' headers) on stdin; writes each one's factors, or why there are none.
const { calculateSUVScalingFactors } = require("@cornerstonejs/calculate-suv");

console.warn = () => {}; // about uptake by lean body mass, which is not asked for
const series = JSON.parse(require("fs").readFileSync(0, "utf8"));
const answers = series.map((instances) => {
  try {
    return { factors: calculateSUVScalingFactors(instances).map((factor) => factor.suvbw) };
  } catch (error) {
    return { error: error.message };
  }
});
process.stdout.write(JSON.stringify(answers));
