const config = JSON.parse(require("fs").readFileSync("/shared/config.json"));
console.log("web", config.version);
